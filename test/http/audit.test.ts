import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask } from './api.ts'

const SECRET_PAYLOAD = 'the-contents-of-the-message'
const CANARY = 'Bearer-canary-that-must-not-be-logged'

test('whatever an admin changes is written down: who, what, to whom, with what outcome', async () => {
  await using server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
  await using _alice = await server.connect({ user: 'alice', rooms: ['lobby'] })
  const token = await server.token({ user: 'root', roles: ['admin'] })
  const acts: [method: string, path: string, body?: unknown][] = [
    ['POST', '/realtime/publish', { to: { room: 'lobby' }, type: 'news', payload: SECRET_PAYLOAD }],
    ['POST', '/realtime/publish', { to: { user_id: 'alice', device_id: 'd' }, type: 'news', payload: SECRET_PAYLOAD }],
    ['DELETE', '/realtime/connections/nobody?reconnect=true'],
    ['DELETE', '/realtime/connections?user_id=alice&transport=websocket'],
    ['POST', '/realtime/users/alice/disconnect'],
  ]
  for (const [method, path, body] of acts) {
    await ask(server.url, method, path, { token, ...(body !== undefined && { body }) })
  }
  const lines = server.lines.filter(({ event }) => event === 'admin_action')
  const by = {
    level: 'info',
    event: 'admin_action',
    time: expect.any(String),
    admin: 'user:root',
    ip: '127.0.0.1',
    outcome: 'ok',
  }
  const sent = { action: 'publish', type: 'news', id: expect.any(String) }
  expect(lines).toEqual([
    { ...by, ...sent, to: 'room:lobby', online: 1 },
    { ...by, ...sent, to: 'device:alice/d', online: 0, cursor: expect.any(String) },
    { ...by, action: 'disconnect_connection', connection_id: 'nobody', reconnect: true, disconnected: 0 },
    {
      ...by,
      action: 'disconnect_connections',
      user_id: 'alice',
      transport: 'websocket',
      reconnect: false,
      disconnected: 1,
    },
    { ...by, action: 'disconnect_user', user_id: 'alice', reconnect: false, disconnected: 0 },
  ])
  expect(server.output).not.toContain(SECRET_PAYLOAD)
  expect(server.output).not.toContain(token)
})

test('a key is named by the start of its hash', async () => {
  await using server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
  await ask(server.url, 'POST', '/realtime/users/alice/disconnect')
  const { admin } = await server.logged('admin_action')
  const hash = new Bun.CryptoHasher('sha256').update(ADMIN_KEY).digest('hex')
  expect(admin).toBe(`key:${hash.slice(0, 8)}`)
  expect(server.output).not.toContain(ADMIN_KEY)
})

test('a refusal is logged under the correlation id that was told, without what was shown', async () => {
  await using server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
  const { body } = await ask(server.url, 'DELETE', `/realtime/connections?all=true&token=${CANARY}`, { token: CANARY })
  const { correlation_id } = (body as { error: { correlation_id: string } }).error
  const line = await server.logged('http_refused', { correlation_id })
  expect(line).toEqual({
    level: 'info',
    event: 'http_refused',
    time: expect.any(String),
    method: 'DELETE',
    path: '/realtime/connections',
    correlation_id,
    error_code: 'invalid_token',
    reason: 'The token is not valid',
    cause: 'not three base64url parts',
  })
  expect(server.output).not.toContain(CANARY)
})
