import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { RefusedError, startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'

setDefaultTimeout(30_000)

describe('a test server', () => {
  test('is all that a test of a handler needs', async () => {
    const app = tidings().on('greet', ({ user }) => `hello ${user.username}`)
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice', name: 'Alice' })
    expect((await client.request({ type: 'greet' })).payload).toEqual({ result: 'hello Alice' })
  })

  test('stops once, closes whoever is left, and is started anew on another port', async () => {
    const server = await startTestServer()
    const client = await server.connect({ user: 'alice' })
    await Promise.all([server.stop(), server.stop('again')])
    expect(await client.closed).toEqual({ code: 1012, reason: 'draining' })
    expect(server.lines.filter(({ event }) => event === 'server_stopped')).toHaveLength(1)
    await using another = await startTestServer()
    expect(another.url).not.toBe(server.url)
  })

  test('keeps its log to itself, and what is logged can be waited for', async () => {
    await using server = await startTestServer()
    const line = server.logged('connection_closed', { user_id: 'alice', code: 4000 })
    await (await server.connect({ user: 'alice' })).close(4000)
    expect(await line).toMatchObject({ level: 'info', transport: 'websocket' })
    expect(server.output).toContain('"event":"connection_closed"')
  })

  test('lets clients in by who they are, and says why it does not', async () => {
    await using server = await startTestServer()
    const outcome = await server.connect({ user: 'alice', expiresIn: -1 }).catch((error) => error)
    expect(outcome).toBeInstanceOf(RefusedError)
    expect([outcome.error.error_code, outcome.closed.code]).toEqual(['token_expired', 4001])
    expect(outcome.message).toContain('token_expired')
  })
})

describe('a test client', () => {
  test('queues what it receives, and hands it out in order or by type', async () => {
    await using server = await startTestServer()
    await using client = await server.connect({ user: 'alice', device: 'a' })
    for (const type of ['one', 'two', 'one', 'three']) await server.app.publish({ user_id: 'alice' }, type, type.length)
    expect((await client.next('two')).payload).toBe(3)
    expect((await client.next()).type).toBe('one')
    expect((await client.received()).map(({ type }) => type)).toEqual(['one', 'three'])
    expect(await client.received()).toEqual([])
  })

  test('waits for what has not come yet', async () => {
    await using server = await startTestServer()
    await using client = await server.connect({ user: 'alice' })
    const next = client.next('later')
    await server.app.publish({ user_id: 'alice' }, 'sooner', 1)
    await server.app.publish({ user_id: 'alice' }, 'later', 2)
    expect((await next).payload).toBe(2)
  })

  test('that waits for what cannot come any more says what it has instead', async () => {
    await using server = await startTestServer()
    const client = await server.connect({ user: 'alice' })
    await server.app.publish({ user_id: 'alice' }, 'other', 1)
    const [frame, answer] = [client.next('never'), client.request({ type: 'ping' }).then(() => client.next('never'))]
    await client.request({ type: 'ping' })
    await client.close()
    for (const waiting of [frame, answer]) {
      expect(await waiting.catch((error) => error.message)).toMatch(/expected never, found .*"other".*closed .*1000/)
    }
  })

  test('speaks both formats, and is given bytes as bytes', async () => {
    await using server = await startTestServer()
    for (const format of ['json', 'msgpack'] as const) {
      await using client = await server.connect({ user: 'alice', format, query: { device_id: format } })
      const echo = { bytes: new Uint8Array([1, 2, 3]), text: 'ü' }
      expect((await client.request({ type: 'ping', payload: echo })).payload).toMatchObject({ echo })
    }
  })
})
