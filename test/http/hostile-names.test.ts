import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask } from './api.ts'

// What a client calls itself is shown to operators, in a browser.
const HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>\'"`$'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
})
afterAll(() => server[Symbol.asyncDispose]())

test('hostile names of users, devices and agents stay data, in answers that no browser takes for a page', async () => {
  const who = { user: HOSTILE, device: HOSTILE, name: HOSTILE, meta: { [HOSTILE]: HOSTILE } }
  await using _client = await server.connect({ ...who, headers: { 'user-agent': HOSTILE } })
  const token = await server.token({ user: HOSTILE })
  const asked: [path: string, token: string][] = [
    ['/realtime/connections', ADMIN_KEY],
    [`/realtime/connections?user_id=${encodeURIComponent(HOSTILE)}`, ADMIN_KEY],
    [`/realtime/users/${encodeURIComponent(HOSTILE)}`, ADMIN_KEY],
    ['/api/websocket/status', token],
    ['/realtime/me', token],
  ]
  for (const [path, shown] of asked) {
    const { status, headers, body } = await ask(server.url, 'GET', path, { token: shown })
    expect(status).toBe(200)
    expect(JSON.stringify(body)).toContain(JSON.stringify(HOSTILE).slice(1, -1))
    expect(headers.get('content-type')).toBe('application/json')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('cache-control')).toBe('no-store')
  }
})

test('an error echoes nothing of what was sent', async () => {
  const hostile = encodeURIComponent(HOSTILE)
  const attempts: [method: string, path: string, body?: unknown][] = [
    ['GET', `/${hostile}`],
    ['GET', `/realtime/${hostile}`],
    ['GET', `/realtime/rooms/${hostile}`],
    ['GET', `/realtime/connections/${hostile}`],
    ['GET', `/realtime/connections?${hostile}=1`],
    ['GET', `/realtime/connections?transport=${hostile}`],
    ['GET', `/realtime/connections?limit=${hostile}`],
    ['GET', `/realtime/connections?after=${hostile}`],
    ['POST', '/realtime/publish', { to: { room: HOSTILE }, type: HOSTILE }],
    ['POST', '/realtime/publish', { [HOSTILE]: HOSTILE }],
    ['POST', '/realtime/publish', HOSTILE],
  ]
  for (const [method, path, body] of attempts) {
    const answer = await ask(server.url, method, path, body === undefined ? {} : { body })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    const text = JSON.stringify(answer.body)
    expect(text, `${method} ${path}`).not.toMatch(/script|onerror|alert/)
    expect(text.length).toBeLessThan(512)
    expect(answer.headers.get('content-type')).toBe('application/json')
  }
})
