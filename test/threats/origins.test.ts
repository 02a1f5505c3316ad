import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { knock, RawSocket, requestHead } from '../support/raw.ts'

/**
 * Danger: a page of another site opens a WebSocket with its visitor's cookies or session, and speaks in the visitor's
 * name. Browsers ask nobody before they connect; only the `Origin` tells.
 */

const asked: string[] = []
const app = tidings()
  .authenticate((request, next) => {
    asked.push(request.headers.get('origin') ?? 'none')
    return next()
  })
  .onConnect(() => void asked.push('connected'))

async function attempt(server: TestServer, origin: string | undefined, host: string): Promise<number> {
  const path = `/realtime?token=${await server.token({ user: 'alice' })}`
  const headers = { host, ...(origin !== undefined && { origin }) }
  if (origin === undefined || origin.startsWith('+')) {
    using raw = await RawSocket.open(server.url)
    raw.write(requestHead(path, { host, ...(origin && { origin: origin.slice(1) }) }))
    return (await raw.head()).status
  }
  const { status, body } = await knock(server.url, path, headers)
  expect(body.error.code).toBe('RT_003')
  return status
}

describe('with a list of origins', () => {
  let server: TestServer
  beforeAll(async () => {
    const config = { server: { allowed_origins: ['https://app.example.com', 'http://localhost:5173'] } }
    server = await startTestServer({ app, config: { ...config, limits: { per_user: 0 } } })
  })
  afterAll(() => server.stop())

  test('pages of any other origin are refused before anything of ours or of the application runs', async () => {
    asked.length = 0
    for (const origin of [
      'https://evil.example',
      'null',
      'https://app.example.com.evil.example',
      'https://evil-app.example.com',
      'https://app.example.com:8443',
      'http://app.example.com',
      'https://app.example.com@evil.example',
      'https://app.example.com/',
      'https://app.example.com, https://evil.example',
      'https://аpp.example.com',
      'http://localhost:5174',
      'file://',
      'app.example.com',
    ]) {
      expect([origin, await attempt(server, origin, 'app.example.com')]).toEqual([origin, 403])
    }
    expect(asked).toEqual([])
  })

  test('pages of a listed origin, in any case and with its default port, and clients without one come in', async () => {
    for (const origin of [
      '+https://app.example.com',
      '+HTTPS://APP.example.com:443',
      '+http://localhost:5173',
      undefined,
    ]) {
      expect([origin, await attempt(server, origin, 'whatever.example')]).toEqual([origin, 101])
    }
  })
})

describe('without a list', () => {
  test('only pages of the very host that is asked come in', async () => {
    await using server = await startTestServer({ app, config: { limits: { per_user: 0 } } })
    const answers = []
    for (const [origin, host] of [
      ['+http://rt.example:3000', 'rt.example:3000'],
      ['+https://rt.example', 'rt.example'],
      ['http://rt.example', 'rt.example:3000'],
      ['http://rt.example:3001', 'rt.example:3000'],
      ['https://www.rt.example', 'rt.example'],
      ['null', 'rt.example'],
    ] as const) {
      answers.push(await attempt(server, origin, host))
    }
    expect(answers).toEqual([101, 101, 403, 403, 403, 403])
  })
})

test('every address of the WebSocket asks', async () => {
  await using server = await startTestServer()
  for (const path of ['/realtime', '/ws', '/ws/', '/realtime?close_reason=0']) {
    expect((await knock(server.url, path, { origin: 'https://evil.example' })).status).toBe(403)
  }
})
