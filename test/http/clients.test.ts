import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { version } from '../../package.json'
import { tidings } from '../../src/index.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ask, refused, told, unique } from './api.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe('who am I', () => {
  test('tells whom a token is of', async () => {
    const named = await server.token({ user: 7, device: 'phone', roles: ['editor'] })
    const { body } = await told(server.url, 'GET', '/realtime/me', { token: named })
    expect(body).toEqual({ user_id: '7', device_id: 'phone', roles: ['editor'], expires_at: expect.any(Number) })
    const expiresAt = (body as { expires_at: number }).expires_at
    expect(Math.abs(expiresAt - (Date.now() / 1000 + 3600))).toBeLessThan(60)
  })

  test('says null where the token leaves it open', async () => {
    await using lax = await startTestServer({ config: { auth: { require_exp: false } } })
    const token = await lax.token({ user: 'alice', claims: { exp: undefined } })
    expect((await told(lax.url, 'GET', '/realtime/me', { token })).body).toMatchObject({ device_id: null, roles: [] })
  })

  test('takes a token wherever a handshake takes it', async () => {
    const token = await server.token({ user: 'alice' })
    const places = [
      { path: `/realtime/me?token=${token}`, headers: {} },
      { path: '/realtime/me', headers: { authorization: `Bearer ${token}` } },
      { path: '/realtime/me', headers: { 'sec-websocket-protocol': `token.${token}` } },
    ]
    for (const { path, headers } of places) {
      expect(await told(server.url, 'GET', path, { token: null, headers })).toMatchObject({
        status: 200,
        body: { user_id: 'alice' },
      })
    }
  })

  test('fails as the handshake fails', async () => {
    const expired = await server.token({ user: 'alice', expiresIn: -10 })
    const cases: [token: string | null, status: number, code: string, name: string][] = [
      [null, 403, 'RT_001', 'authentication_required'],
      ['rubbish', 401, 'RT_002', 'invalid_token'],
      [expired, 401, 'RT_002', 'token_expired'],
    ]
    for (const [token, status, code, error_code] of cases) {
      expect(await refused(server.url, 'GET', '/realtime/me', { token })).toMatchObject({
        status,
        error: { code, error_code },
      })
    }
  })

  test('knows sessions of the application', async () => {
    const app = tidings().authenticate((request, next) =>
      request.headers.get('x-session') === 's1' ? { userId: 'carol', roles: [] } : next(),
    )
    await using own = await startTestServer({ app })
    const asking = { token: null, headers: { 'x-session': 's1' } }
    expect((await told(own.url, 'GET', '/realtime/me', asking)).body).toMatchObject({ user_id: 'carol' })
    expect((await told(own.url, 'GET', '/api/websocket/status', asking)).body).toMatchObject({
      user: { user_id: 'carol' },
    })
  })
})

describe('the status', () => {
  test('counts connections, users and rooms, for everybody', async () => {
    await using fresh = await startTestServer()
    const status = () => told(fresh.url, 'GET', '/api/websocket/status', { token: null })
    const body = {
      server_time: expect.any(Number),
      version,
      uptime_s: expect.any(Number),
      connections: 0,
      users: 0,
      rooms: 0,
    }
    expect(await status()).toEqual({ status: 200, body })
    await using _laptop = await fresh.connect({ user: 'alice', rooms: ['a', 'b'] })
    await using _phone = await fresh.connect({ user: 'alice', rooms: ['a'] })
    await using _bob = await fresh.connect({ user: 'bob' })
    expect((await status()).body).toEqual({ ...body, connections: 3, users: 2, rooms: 2 })
  })

  test("with a user's token tells that user's connections and nobody else's", async () => {
    const [alice, bob] = [unique('alice'), unique('bob')]
    await using client = await server.connect({ user: alice, device: 'laptop' })
    await using _other = await server.connect({ user: bob })
    const { body } = await told(server.url, 'GET', '/api/websocket/status', {
      token: await server.token({ user: alice }),
    })
    const { connection_id } = client.welcome.payload as { connection_id: string }
    expect((body as { user: unknown }).user).toEqual({
      user_id: alice,
      connections: [expect.objectContaining({ connection_id, user_id: alice, device_id: 'laptop', state: 'open' })],
    })
  })

  test('says that a token is bad where one is shown', async () => {
    expect(await refused(server.url, 'GET', '/api/websocket/status', { token: 'rubbish' })).toMatchObject({
      status: 401,
    })
  })
})

describe('probes', () => {
  test('tell whether the process lives and takes connections', async () => {
    await using leaving = await startTestServer()
    const probe = (path: string) => told(leaving.url, 'GET', path, { token: null })
    expect(await probe('/healthz')).toEqual({ status: 200, body: { status: 'ok' } })
    expect(await probe('/readyz')).toEqual({ status: 200, body: { status: 'ready' } })
    leaving.hub.refuseNew()
    expect(await probe('/readyz')).toEqual({ status: 503, body: { status: 'draining' } })
    expect(await probe('/healthz')).toEqual({ status: 200, body: { status: 'ok' } })
  })
})

test('what is not there is 404, and a method that is not there is 405 with those that are', async () => {
  const cases: [method: string, path: string, status: number, allow: string | null][] = [
    ['GET', '/nowhere', 404, null],
    ['GET', '/socket.io/?EIO=4&transport=polling', 404, null],
    ['POST', '/socket.io/', 404, null],
    ['GET', '/realtime/nowhere', 404, null],
    ['POST', '/realtime', 405, 'GET, HEAD'],
    ['DELETE', '/realtime/me', 405, 'GET, HEAD'],
    ['POST', '/healthz', 405, 'GET, HEAD'],
    ['PUT', '/api/websocket/status', 405, 'GET, HEAD, OPTIONS'],
    ['POST', '/swagger', 405, 'GET, HEAD'],
  ]
  for (const [method, path, status, allow] of cases) {
    const answer = await ask(server.url, method, path, { token: null })
    expect({ method, path, status: answer.status, allow: answer.headers.get('allow') }).toEqual({
      method,
      path,
      status,
      allow,
    })
    expect(answer.body).toMatchObject({ error: { code: 'RT_005', error_code: 'not_found' } })
  }
})
