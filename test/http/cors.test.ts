import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY } from './api.ts'

const APP = 'https://app.example'
let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] }, server: { allowed_origins: [APP] } } })
})
afterAll(() => server[Symbol.asyncDispose]())

/** What lets pages of an origin read an answer. */
const READABLE = {
  vary: 'origin',
  'access-control-allow-origin': APP,
  'access-control-expose-headers': 'retry-after',
}

const PATHS = [
  '/realtime/connections',
  '/realtime/connections/some',
  '/realtime/publish',
  '/realtime/me',
  '/realtime',
  '/api/websocket/status',
  '/nowhere',
]

function preflight(url: string, path: string, origin: string): Promise<Response> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
  return fetch(`${url}${path}`, { method: 'OPTIONS', headers })
}

function corsOf(response: Response): object {
  return Object.fromEntries(
    [...response.headers].filter(([name]) => name.startsWith('access-control') || name === 'vary'),
  )
}

test('a preflight of an allowed origin is answered everywhere, without credentials', async () => {
  for (const path of PATHS) {
    const response = await preflight(server.url, path, APP)
    expect({ path, status: response.status, cors: corsOf(response) }).toEqual({
      path,
      status: 204,
      cors: {
        ...READABLE,
        'access-control-allow-methods': 'GET, POST, DELETE',
        'access-control-allow-headers': 'authorization, content-type, last-event-id',
        'access-control-max-age': '600',
      },
    })
  }
})

test('answers and errors alike can be read by an allowed origin, and by no other', async () => {
  const strangers = ['https://evil.example', 'https://app.example.evil', 'http://app.example', `${APP}:444`, 'null']
  for (const path of PATHS) {
    const allowed = await fetch(`${server.url}${path}`, { headers: { origin: APP } })
    expect({ path, cors: corsOf(allowed) }).toEqual({ path, cors: READABLE })
    for (const origin of strangers) {
      expect(corsOf(await fetch(`${server.url}${path}`, { headers: { origin } }))).toEqual({ vary: 'origin' })
      const asked = await preflight(server.url, path, origin)
      expect({ status: asked.status, cors: corsOf(asked) }).toEqual({ status: 204, cors: { vary: 'origin' } })
    }
  }
})

test('with no origins configured only the page of this very server may read', async () => {
  await using plain = await startTestServer()
  const read = (origin: string) => fetch(`${plain.url}/api/websocket/status`, { headers: { origin } })
  expect(corsOf(await read(plain.url))).toMatchObject({ 'access-control-allow-origin': plain.url })
  expect(corsOf(await read(APP))).toEqual({ vary: 'origin' })
})

// With `*` every page of the web would act with the visitor's cookies.
test('cookies are allowed to origins that are named, never to all', async () => {
  const allowing = async (allowed_origins: string[], cookie?: string) => {
    const config = { server: { allowed_origins }, auth: { ...(cookie !== undefined && { cookie }) } }
    await using other = await startTestServer({ config })
    const response = await fetch(`${other.url}/api/websocket/status`, { headers: { origin: APP } })
    return corsOf(response)
  }
  expect(await allowing([APP], 'session')).toEqual({ ...READABLE, 'access-control-allow-credentials': 'true' })
  expect(await allowing([APP])).toEqual(READABLE)
  expect(await allowing(['*'], 'session')).toEqual(READABLE)
})
