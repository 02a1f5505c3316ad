import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startTestServer, type TestClient, type TestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask, refused } from './api.ts'
import { raw, request } from './raw.ts'

let server: TestServer
let client: TestClient
let connectionId: string
const LIMIT = 4096

beforeAll(async () => {
  const config = {
    admin: { keys: [ADMIN_KEY] },
    limits: { max_message_bytes: LIMIT, messages_per_second: 0, bytes_per_second: 0 },
  }
  server = await startTestServer({ config })
  client = await server.connect({ user: 'alice', device: 'laptop', rooms: ['lobby'] })
  connectionId = (client.welcome.payload as { connection_id: string }).connection_id
})
afterAll(() => server[Symbol.asyncDispose]())

const REFUSAL = {
  status: 401,
  error: { code: 'RT_002', error_code: 'invalid_token', message: 'The token is not valid', reconnect: false },
}

/** Every admin route as its own description has it, with a path that exists and one that does not. */
async function adminRoutes(): Promise<{ method: string; path: string }[]> {
  const { body } = await ask(server.url, 'GET', '/swagger/json')
  const paths = (body as { paths: Record<string, Record<string, { security?: object[] }>> }).paths
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { security }]) => security?.some((scheme) => 'admin' in scheme))
      .flatMap(([method]) =>
        [
          { '{id}': connectionId, '{user_id}': 'alice', '{room}': 'lobby' },
          { '{id}': 'nobody', '{user_id}': 'nobody', '{room}': 'nowhere' },
        ].map((names) => ({
          method: method.toUpperCase(),
          path: path.replace(/\{\w+\}/g, (hole) => names[hole as keyof typeof names]),
        })),
      ),
  )
}

describe('an admin route answers every refusal alike', () => {
  const credentials: [what: string, token: () => Promise<string | null> | string | null][] = [
    ['nothing', () => null],
    ['a wrong key', () => `${ADMIN_KEY.startsWith('A') ? 'B' : 'A'}${ADMIN_KEY.slice(1)}`],
    ['the start of a key', () => ADMIN_KEY.slice(0, -1)],
    ['a key and more', () => `${ADMIN_KEY}a`],
    ['a token of a user', () => server.token({ user: 'alice', roles: ['editor'] })],
    ['a token of an admin that has ended', () => server.token({ user: 'root', roles: ['admin'], expiresIn: -1 })],
    ['a role that only begins like it', () => server.token({ user: 'root', roles: ['administrator', 'Admin'] })],
    ['an admin of one room', () => server.token({ user: 'root', roomRoles: { lobby: 'admin' } })],
    ['rubbish', () => 'ey.ey.ey'],
  ]

  for (const [what, token] of credentials) {
    test(`where ${what} is shown`, async () => {
      const routes = await adminRoutes()
      expect(routes.length).toBeGreaterThanOrEqual(18)
      for (const { method, path } of routes) {
        const shown = await token()
        expect(await refused(server.url, method, path, { token: shown }), `${method} ${path}`).toEqual(REFUSAL)
        const { headers } = await ask(server.url, method, path, { token: shown })
        expect(headers.get('www-authenticate')).toBe('Bearer')
      }
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })
  }

  test('where a key stands anywhere but in the header', async () => {
    const places = [
      { path: `/realtime/connections?token=${ADMIN_KEY}`, headers: {} },
      { path: '/realtime/connections', headers: { cookie: `token=${ADMIN_KEY}` } },
      { path: '/realtime/connections', headers: { authorization: `Basic ${ADMIN_KEY}` } },
      { path: '/realtime/connections', headers: { 'x-api-key': ADMIN_KEY } },
    ]
    for (const { path, headers } of places) {
      expect(await refused(server.url, 'GET', path, { token: null, headers })).toEqual(REFUSAL)
    }
  })

  // Whoever may not come in must not learn what is there by sending what is wrong.
  test('before it looks at what was sent', async () => {
    const attempts: [method: string, path: string, body?: string][] = [
      ['GET', '/realtime/connections?limit=0'],
      ['GET', '/realtime/connections?nonsense=1'],
      ['DELETE', '/realtime/connections'],
      ['GET', '/realtime/rooms/not%20a%20room'],
      ['GET', `/realtime/users/${'x'.repeat(300)}`],
      ['POST', '/realtime/publish', '{broken'],
      ['POST', '/realtime/publish', '{}'],
      ['POST', '/realtime/publish', `"${'x'.repeat(LIMIT)}"`],
      ['POST', '/realtime/publish/batch', '{broken'],
      ['POST', '/realtime/users/alice/disconnect?nonsense=1', '{broken'],
    ]
    for (const [method, path, body] of attempts) {
      const asking = { token: null, headers: { 'content-type': 'application/json' }, ...(body && { body }) }
      expect(await refused(server.url, method, path, asking), `${method} ${path}`).toEqual(REFUSAL)
    }
  })

  test('before it reads a body', async () => {
    const line = request(
      'POST /realtime/publish',
      'Host: localhost',
      'Content-Type: application/json',
      'Content-Length: 4000',
    )
    // Not a byte of the body is ever sent.
    expect((await raw(server.url, line)).status).toBe(401)
  })

  test('for addresses and methods that do not exist', async () => {
    const unknown: [method: string, path: string][] = [
      ['GET', '/realtime/connections/a/b'],
      ['PUT', '/realtime/connections'],
      ['PATCH', `/realtime/connections/${connectionId}`],
      ['OPTIONS', '/realtime/connections'],
      ['GET', '/realtime/users'],
      ['GET', '/realtime/publish'],
      ['GET', '/realtime/rooms/lobby/history'],
      ['POST', '/realtime/tokens/revoke'],
      ['POST', '/realtime/drain'],
      ['GET', '/realtime/Connections'],
      ['GET', '/realtime/%63onnections'],
      ['GET', '/realtime/%2563onnections'],
      ['GET', '/realtime//connections'],
      ['GET', '/realtime/connections;x=1'],
    ]
    for (const [method, path] of unknown) {
      expect(await refused(server.url, method, path, { token: null }), `${method} ${path}`).toEqual(REFUSAL)
    }
  })
})

test('an admin is told what does not exist, and which methods do', async () => {
  expect(await refused(server.url, 'GET', '/realtime/users')).toMatchObject({ status: 404, error: { code: 'RT_005' } })
  const { status, headers } = await ask(server.url, 'PUT', '/realtime/connections')
  expect({ status, allow: headers.get('allow') }).toEqual({ status: 405, allow: 'DELETE, GET, HEAD' })
})

test('a token with the admin role does as well as a key', async () => {
  const token = await server.token({ user: 'root', roles: ['admin'] })
  expect((await ask(server.url, 'GET', '/realtime/connections', { token })).status).toBe(200)
})

test('with an empty role only keys are good', async () => {
  await using strict = await startTestServer({ config: { admin: { keys: [ADMIN_KEY], jwt_role: '' } } })
  for (const roles of [[''], ['admin']]) {
    const token = await strict.token({ user: 'root', roles })
    expect(await refused(strict.url, 'GET', '/realtime/connections', { token })).toEqual(REFUSAL)
  }
  expect((await ask(strict.url, 'GET', '/realtime/connections')).status).toBe(200)
})

test('a HEAD is guarded like its GET and has no body', async () => {
  const line = 'HEAD /realtime/connections'
  const stranger = await raw(server.url, request(line, 'Host: localhost'))
  expect({ status: stranger.status, body: stranger.body }).toEqual({ status: 401, body: '' })
  const admin = await raw(server.url, request(line, 'Host: localhost', `Authorization: Bearer ${ADMIN_KEY}`))
  expect({ status: admin.status, body: admin.body }).toEqual({ status: 200, body: '' })
})

// The router and whoever reads the path must not disagree about where a request goes.
describe('no trick with a path or a host gets past the guard', () => {
  const paths = [
    '//realtime/connections',
    '/./realtime/connections',
    '/x/../realtime/connections',
    '/realtime/x/%2e%2e/connections',
    '/realtime/%2e/connections',
    '/realtime/%2e%2e/realtime/connections',
    '/realtime/me/../connections',
    '/healthz/../realtime/connections',
    '/realtime\\connections',
    '/realtime/connections/',
    '/realtime/connections//',
    '/realtime/connections;x',
    '/realtime;x/connections',
    '/realtime/connections%00',
    '/realtime/connections%3f',
    '/realtime/connections%23',
    '/realtime/connections#x',
    '/realtime/%63onnections',
    '/realtime%2fconnections',
    '/realtime%2Fconnections',
    '/%72ealtime/connections',
    '/REALTIME/CONNECTIONS',
    '/realtime/connections?/healthz',
    '/realtime/connections/..%2f',
    'http://elsewhere/realtime/connections',
    '/xx/realtime/connections',
    '/xxxxxxxxxx/realtime/connections',
    '*',
  ]
  for (const path of paths) {
    for (const host of ['localhost', 'h', 'a.b', 'localhost:80']) {
      test(`${path} of ${host}`, async () => {
        for (const method of ['GET', 'DELETE']) {
          const { status, body } = await raw(server.url, request(`${method} ${path}?all=true`, `Host: ${host}`))
          expect([400, 401, 404]).toContain(status)
          expect(body).not.toContain('alice')
          expect(body).not.toContain('disconnected')
        }
        expect((await client.request({ type: 'ping' })).type).toBe('pong')
      })
    }
  }

  const hosts = [
    ['Host:'],
    ['Host: '],
    ['Host: localhost', 'Host: elsewhere'],
    ['Host: localhost, elsewhere'],
    ['Host: local host'],
    ['Host: a/../b'],
    ['Host: user@localhost'],
    ['Host: localhost/realtime/connections'],
    ['Host: localhost?x'],
    ['Host: localhost#x'],
  ]
  for (const headers of hosts) {
    test(`with the headers ${JSON.stringify(headers)} nothing is done, not even for an admin`, async () => {
      const admin = [...headers, `Authorization: Bearer ${ADMIN_KEY}`]
      for (const path of [
        '/realtime/connections?all=true',
        '/realtime/connections/',
        '/nowhere',
        '/realtime/nowhere',
      ]) {
        expect((await raw(server.url, request(`DELETE ${path}`, ...admin))).status).toBe(400)
      }
      for (const path of ['/realtime/me', '/api/websocket/status', '/swagger', '/swagger/json', '/client.js']) {
        expect((await raw(server.url, request(`GET ${path}`, ...headers))).status, path).toBe(400)
      }
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })
  }

  test('the path of a short host is no other than it reads', async () => {
    for (const path of ['/xx/healthz', '/x/healthz', '/xx/swagger', '/xx/realtime/me']) {
      expect((await raw(server.url, request(`GET ${path}`, 'Host: h'))).status).toBe(404)
    }
    expect((await raw(server.url, request('GET /healthz', 'Host: h'))).status).toBe(200)
  })

  test('a probe without a Host is answered: the oldest load balancers send none', async () => {
    const { status, body } = await raw(server.url, 'GET /healthz HTTP/1.0\r\n\r\n')
    expect({ status, body }).toEqual({ status: 200, body: '{"status":"ok"}' })
  })
})
