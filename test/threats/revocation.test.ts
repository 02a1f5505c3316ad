import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { TEST_SECRET } from '../../src/testing/tokens.ts'
import { tidings } from '../../src/tidings.ts'
import { forge } from '../auth/forge.ts'
import { files } from '../config/support.ts'
import { ADMIN_KEY, refused, told } from '../http/api.ts'
import { names } from '../support/names.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const CONFIG = { admin: { keys: [ADMIN_KEY] }, limits: { per_user: 0 } } as const
const PATH = '/realtime/tokens/revoke'
const nowS = () => Math.floor(Date.now() / 1000)
const revoke = (server: TestServer, body: object) => told(server.url, 'POST', PATH, { body })
const REVOKED = {
  status: 401,
  error: { code: 'RT_002', error_code: 'token_revoked', message: 'The token was revoked', reconnect: false },
}
const tokenOf = (claims: Record<string, unknown>) => forge({ exp: nowS() + 300, ...claims }, {}, TEST_SECRET)

// Danger: whoever has stolen a token goes on with it, by whichever way nobody has thought of.
describe('a token that was revoked is good for nothing', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ config: CONFIG })
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const stolen = async () => {
    const { alice } = names()
    const claims = { jti: `jti-of-${alice}` }
    return { alice, claims, token: await server.token({ user: alice, device: 'd', claims }) }
  }

  test('neither to open something, nor to ask, to say or to get something', async () => {
    const { claims, token } = await stolen()
    await revoke(server, claims)
    const body = { to: { user_id: 'bob' }, type: 'chat' }
    for (const [method, path] of [
      ['GET', '/realtime/sse'],
      ['GET', '/realtime/poll'],
      ['GET', '/realtime/me'],
      ['GET', '/api/websocket/status'],
      ['POST', '/realtime/ticket'],
      ['POST', '/realtime/send'],
    ] as const) {
      const answer = await refused(server.url, method, path, { token, ...(method === 'POST' && { body }) })
      expect({ path, ...answer }).toEqual({ path, ...REVOKED })
    }
    expect(server.output).not.toContain(token)
  })

  test('nor by a ticket that it was traded for before, be it unused or of a session', async () => {
    const { claims, token } = await stolen()
    const ticket = async () =>
      ((await told(server.url, 'POST', '/realtime/ticket', { token })).body as { ticket: string }).ticket
    const [unused, used] = [await ticket(), await ticket()]
    const poll = (held: string, more = '') =>
      refused(server.url, 'GET', `/realtime/poll?timeout=0&ticket=${held}${more}`, { token: null })
    const opened = await told(server.url, 'GET', `/realtime/poll?timeout=0&ticket=${used}`, { token: null })
    const { connection_id } = opened.body as { connection_id: string }
    expect(await revoke(server, claims)).toEqual({ status: 200, body: { disconnected: 1 } })
    expect(await poll(unused)).toEqual(REVOKED)
    // What was left of its session went with it.
    expect(await poll(used)).toMatchObject({ status: 401 })
    expect(await poll(used, `&connection_id=${connection_id}`)).toMatchObject({ status: 401 })
  })

  test('nor for the admin that it was of, who learns no more than anybody else', async () => {
    const { alice } = names()
    const claims = { jti: `jti-of-${alice}` }
    const token = await server.token({ user: alice, roles: ['admin'], claims })
    expect((await told(server.url, 'GET', '/realtime/rooms', { token })).status).toBe(200)
    await revoke(server, claims)
    expect(await refused(server.url, 'GET', '/realtime/rooms', { token })).toMatchObject({
      status: 401,
      error: { error_code: 'invalid_token' },
    })
  })

  test('nor by taking over a connection that another token has opened', async () => {
    const { alice, claims } = await stolen()
    await using owner = await server.connect({ user: alice, device: 'd', claims: { jti: `${alice}-good` } })
    const { connection_id } = owner.welcome.payload as { connection_id: string }
    await revoke(server, claims)
    const thief = server.connect({ user: alice, device: 'd', claims, query: { resume: connection_id } })
    await expect(thief).rejects.toMatchObject({ error: { error_code: 'token_revoked' } })
    expect((await owner.request({ type: 'ping' })).type).toBe('pong')
  })

  test('nor where it does not say when it was issued: that was before everything', async () => {
    const { alice, bob } = names()
    const undated = tokenOf({ sub: alice })
    expect((await told(server.url, 'GET', '/realtime/me', { token: undated })).status).toBe(200)
    await revoke(server, { user_id: alice, issued_before: 1 })
    expect(await refused(server.url, 'GET', '/realtime/me', { token: undated })).toEqual(REVOKED)
    for (const token of [tokenOf({ sub: alice, iat: nowS() }), tokenOf({ sub: bob })]) {
      expect((await told(server.url, 'GET', '/realtime/me', { token })).status).toBe(200)
    }
  })
})

// Danger: a field that is misspelt, and a revocation that was meant for one is one for everybody.
test('a field that nobody knows revokes nothing', async () => {
  await using server = await startTestServer({ config: CONFIG })
  await using client = await server.connect({ user: 'alice' })
  for (const body of [
    { userid: 'bob', issued_before: nowS() + 2 },
    { user_id: 'alice', device: 'd', issued_before: nowS() + 2 },
    { jtis: ['a'], issued_before: nowS() + 2 },
  ]) {
    expect(await refused(server.url, 'POST', PATH, { body })).toMatchObject({
      status: 400,
      error: {
        error_code: 'invalid_message',
        details: { allowed: ['jti', 'user_id', 'device_id', 'issued_before', 'expires_at'] },
      },
    })
  }
  expect((await client.request({ type: 'ping' })).type).toBe('pong')
})

test('everybody’s tokens of before are revoked together, and those of after are good', async () => {
  await using server = await startTestServer({ config: CONFIG })
  const before = nowS() - 100
  const [old, young] = [tokenOf({ sub: 'alice', iat: before - 1 }), tokenOf({ sub: 'bob', iat: before })]
  const enter = (token: string) => server.connect({ user: 'x', query: { token } })
  await using goes = await enter(old)
  await using stays = await enter(young)
  expect(await revoke(server, { issued_before: before })).toEqual({ status: 200, body: { disconnected: 1 } })
  expect(await goes.closed).toEqual({ code: 4001, reason: 'token_revoked' })
  await expect(enter(old)).rejects.toMatchObject({ error: { error_code: 'token_revoked' } })
  expect((await stays.request({ type: 'ping' })).type).toBe('pong')
})

// Danger: a restart forgets, and the thief is back.
test('a server that was started again still refuses it', async () => {
  using folder = files({})
  const config = { ...CONFIG, store: { path: folder.path('tidings.db') } }
  const claims = { jti: 'stolen' }
  {
    await using first = await startTestServer({ config })
    await revoke(first, claims)
  }
  await using second = await startTestServer({ config })
  const token = await second.token({ user: 'alice', claims })
  expect(await refused(second.url, 'GET', '/realtime/me', { token })).toEqual(REVOKED)
})

// Danger: between the look at the token and the session there is a moment in which a revocation finds nobody.
test('one that is revoked while its client is coming in has no session', async () => {
  const { promise: waiting, resolve: arrived } = Promise.withResolvers<void>()
  const { promise: revoked, resolve: goOn } = Promise.withResolvers<void>()
  const app = tidings().authenticate(async (_, next) => {
    const identity = await next()
    arrived()
    await revoked
    return identity
  })
  await using server = await startTestServer({ config: CONFIG, app })
  const claims = { jti: 'late' }
  const coming = server.connect({ user: 'alice', claims })
  coming.catch(() => {})
  await waiting
  expect(await revoke(server, claims)).toEqual({ status: 200, body: { disconnected: 0 } })
  goOn()
  await expect(coming).rejects.toMatchObject({ error: { error_code: 'token_revoked' } })
  await until(() => server.hub.registry.size === 0)
})

test('who an application knows by itself is revoked like everybody, by what it says of the token', async () => {
  const app = tidings().authenticate(() => ({ userId: 'alice', roles: [], tokenId: 'session-1', issuedAt: Date.now() }))
  await using server = await startTestServer({ config: CONFIG, app })
  await using client = await server.connect({ user: 'whoever' })
  expect(await revoke(server, { jti: 'session-1' })).toEqual({ status: 200, body: { disconnected: 1 } })
  expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
  expect(await refused(server.url, 'GET', '/realtime/me', { token: 'anything' })).toEqual(REVOKED)
})
