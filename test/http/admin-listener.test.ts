import { expect, test } from 'bun:test'
import { startServer } from '../../src/app.ts'
import { configFrom } from '../../src/config.ts'
import { CapturedLog } from '../../src/testing/captured-log.ts'
import { testConfig } from '../../src/testing/server.ts'
import { ADMIN_KEY, ask, told } from './api.ts'

/** A server with a listener for admins. */
async function start(listen = '127.0.0.1:0') {
  const config = configFrom(testConfig({ admin: { keys: [ADMIN_KEY], listen } }), 'development')
  const captured = new CapturedLog()
  const server = await startServer(config, { mode: 'development', log: captured.log })
  return { ...server, captured, [Symbol.asyncDispose]: () => server.stop() }
}

const ADMIN_PATHS = ['/realtime/connections', '/realtime/users/alice', '/realtime/rooms', '/realtime/rooms/lobby']

test('with a listener of their own the admin routes are there and nowhere else', async () => {
  await using server = await start()
  const adminUrl = String(server.adminUrl)
  expect(await told(adminUrl, 'GET', '/realtime/connections')).toEqual({ status: 200, body: { items: [], next: null } })
  for (const path of ADMIN_PATHS) {
    for (const token of [ADMIN_KEY, null]) {
      // On the public listener they do not exist: whether a key is good is not told there either.
      expect((await ask(server.url, 'GET', path, { token })).status, path).toBe(404)
    }
    expect((await ask(adminUrl, 'GET', path, { token: null })).status).toBe(401)
  }
  expect((await ask(server.url, 'POST', '/realtime/publish', { body: {} })).status).toBe(404)
  expect((await ask(server.url, 'DELETE', '/realtime/connections?all=true')).status).toBe(404)
})

test('clients do not connect at the listener of the admins; probes do', async () => {
  await using server = await start()
  const adminUrl = String(server.adminUrl)
  for (const path of ['/realtime', '/ws', '/realtime/me', '/api/websocket/status']) {
    expect((await ask(adminUrl, 'GET', path)).status, path).toBe(404)
  }
  expect(await told(adminUrl, 'GET', '/healthz', { token: null })).toEqual({ status: 200, body: { status: 'ok' } })
  expect((await ask(server.url, 'GET', '/realtime')).status).toBe(426)
})

test('each listener describes what it answers', async () => {
  await using server = await start()
  const pathsOf = async (url: string) => {
    const { body } = await ask(url, 'GET', '/swagger/json', { token: null })
    return Object.keys((body as { paths: object }).paths)
  }
  const [open, admin] = [await pathsOf(server.url), await pathsOf(String(server.adminUrl))]
  expect(open).toContain('/realtime/me')
  expect(open).not.toContain('/realtime/connections')
  expect(admin).toContain('/realtime/connections')
  expect(admin).not.toContain('/realtime/me')
})

test('what admins do there reaches the clients of the public listener', async () => {
  await using server = await start()
  await server.captured.logged('server_started', { url: server.url, admin_url: String(server.adminUrl) })
  const body = { to: 'all', type: 'news' }
  expect(await told(String(server.adminUrl), 'POST', '/realtime/publish', { body })).toMatchObject({
    status: 200,
    body: { online: 0 },
  })
})

test('the server does not start where the address of the admins is taken, and holds nothing', async () => {
  await using first = await start()
  const taken = new URL(String(first.adminUrl)).host
  expect(start(taken)).rejects.toThrow()
})

test('both listeners end with the server', async () => {
  const server = await start()
  const { url, adminUrl } = server
  await server.stop()
  expect(fetch(`${url}/healthz`)).rejects.toThrow()
  expect(fetch(`${adminUrl}/healthz`)).rejects.toThrow()
})
