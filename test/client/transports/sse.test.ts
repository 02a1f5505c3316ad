import { describe, expect, test } from 'bun:test'
import type { ClientOptions } from '../../../src/client/index.ts'
import { FakeStream, jsonResponse, settle, welcomeFrame } from '../fakes.ts'
import { setUp } from '../set-up.ts'

const SSE = { transports: ['sse', 'poll'] } as const

async function open(options: ClientOptions = {}) {
  const context = setUp({ ...SSE, ...options })
  const { runtime, client } = context
  const stream = new FakeStream()
  runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? stream.response : undefined)
  void client.connect()
  await settle()
  stream.say(welcomeFrame({ connection_id: 'c1', cursor: '100' }))
  await settle()
  context.been()
  /** Requests to `/send`, with what they carried. */
  const posts = () =>
    runtime.requests
      .filter(({ url }) => url.pathname === '/realtime/send')
      .map(({ init, answer }) => ({ frames: JSON.parse(String(init.body)), init, answer }))
  /** Breaks the stream and returns where the next one starts from. */
  const positionOfNext = async (): Promise<string | null> => {
    stream.end()
    await runtime.clock.advance(500)
    return runtime.requests.at(-1)?.url.searchParams.get('cursor') ?? null
  }
  return { ...context, stream, posts, positionOfNext }
}

describe('an event stream', () => {
  test('is asked for with the token in a header', async () => {
    const { runtime, client } = await open()
    const [{ url, init }] = runtime.requests as [(typeof runtime.requests)[0]]
    expect(url.href).toBe('https://example.com/realtime/sse?ack=explicit')
    expect(init.headers).toEqual({ authorization: 'Bearer secret' })
    expect([client.state, client.transport]).toEqual(['open', 'sse'])
  })

  test('brings messages, however its bytes are cut', async () => {
    const { client, stream } = await open()
    const heard: unknown[] = []
    client.on('chat', (payload) => heard.push(payload))
    const event = `id: 105\r\ndata: ${JSON.stringify({ type: 'chat', cursor: '105', payload: 'a\u2028\r\nb😀', timestamp: 1 })}\r\n\r\n`
    for (const char of event) stream.write(char)
    await settle()
    expect(heard).toEqual(['a\u2028\r\nb😀'])
  })

  test('moves the position with its heartbeat', async () => {
    const { stream, positionOfNext } = await open()
    stream.write('id: 123\n\n')
    await settle()
    expect(await positionOfNext()).toBe('123')
  })

  test('is not asked for a sign of life: its heartbeat is one', async () => {
    const { runtime, stream, posts, been } = await open()
    for (let turn = 0; turn < 10; turn++) {
      await runtime.clock.advance(25_000)
      stream.write('id: 100\n\n')
      await settle()
    }
    expect(posts()).toEqual([])
    expect(been()).toEqual([])
    await runtime.clock.advance(60_000)
    expect(been()[0]).toBe('waiting 500 ms unreachable')
  })

  test('goes on after an event that is no frame, which is reported', async () => {
    const { client, stream, errors } = await open()
    const heard: unknown[] = []
    client.on('chat', (payload) => heard.push(payload))
    stream.write('data: {\n\n')
    stream.say({ type: 'chat', payload: 1 })
    await settle()
    expect(heard).toEqual([1])
    expect(errors).toMatchObject([{ reason: 'bad_frame' }])
  })

  test('that ends with a reason is over for that reason', async () => {
    const { runtime, stream, been } = await open()
    const payload = { code: 'RT_003', error_code: 'disconnected', message: 'bye', reconnect: false }
    stream.say({ type: 'error', payload, correlation_id: 'x' })
    stream.end()
    await settle()
    expect(been()).toEqual(['suspended disconnected'])
    expect(runtime.clock.pending).toBe(0)
  })

  test('that ends with the word that the server leaves is over for that reason, until the server said', async () => {
    const { stream, been } = await open()
    stream.say({ type: 'server_draining', payload: { reason: 'deploy', reconnect_after_ms: 1234 } })
    stream.end()
    await settle()
    expect(been()).toEqual(['waiting 1234 ms draining'])
  })

  test('that says nothing but an error is refused, and no other transport would say otherwise', async () => {
    const { stream, runtime, been } = await open()
    stream.end()
    const again = new FakeStream()
    runtime.onRequest = () => again.response
    await runtime.clock.advance(500)
    been()
    const payload = { code: 'RT_009', error_code: 'internal_error', message: 'oh', reconnect: true }
    again.say({ type: 'error', payload })
    again.end()
    await settle()
    expect(been()).toEqual(['waiting 1000 ms internal_error'])
  })

  test('that breaks is replaced', async () => {
    const { stream, been } = await open()
    stream.fail(new Error('reset'))
    await settle()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
  })

  test('that a proxy keeps to itself is given up for polling', async () => {
    const { runtime, client } = setUp(SSE)
    const stream = new FakeStream()
    runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? stream.response : undefined)
    void client.connect()
    await runtime.clock.advance(10_000)
    expect(runtime.requests.map(({ url }) => url.pathname)).toEqual(['/realtime/sse', '/realtime/poll'])
  })
})

describe('frames to the server', () => {
  test('go by POST in a list, what is said together in one', async () => {
    const { client, posts } = await open()
    void client.publish({ room: 'lobby' }, 'chat', 1)
    void client.publish({ room: 'lobby' }, 'chat', 2)
    await settle()
    expect(posts()).toHaveLength(1)
    expect(posts()[0]?.frames).toMatchObject([
      { connection_id: 'c1', type: 'chat', to: { room: 'lobby' }, payload: 1 },
      { connection_id: 'c1', type: 'chat', to: { room: 'lobby' }, payload: 2 },
    ])
    expect(posts()[0]?.init.headers).toEqual({ authorization: 'Bearer secret', 'content-type': 'application/json' })
  })

  test('go one list after the other, so that none overtakes', async () => {
    const { client, posts } = await open()
    const first = client.request('a')
    await settle()
    void client.request('b')
    await settle()
    expect(posts()).toHaveLength(1)
    posts()[0]?.answer(
      jsonResponse([{ type: 'ack', correlation_id: posts()[0]?.frames[0].id, payload: { result: 1 } }]),
    )
    expect(await first).toBe(1)
    await settle()
    expect(posts()).toHaveLength(2)
  })

  test('are answered beside the stream: such an answer moves no position, as the stream may be behind it', async () => {
    const { client, stream, posts, positionOfNext } = await open()
    const heard: unknown[] = []
    client.on('*', (_, { type, cursor }) => heard.push([type, cursor]))
    const joined = client.join('lobby', { history: 1 })
    await settle()
    const id = posts()[0]?.frames[0].id
    posts()[0]?.answer(
      jsonResponse([
        { type: 'chat', id: 'm1', room: 'lobby', cursor: '90', history: true, payload: {}, timestamp: 1 },
        {
          type: 'ack',
          correlation_id: id,
          payload: { room: 'lobby', participant_count: 1, cursor: '120', replayed: 1 },
        },
      ]),
    )
    await joined
    stream.say({ type: 'note', id: 'n', cursor: '110', payload: {} })
    await settle()
    expect(heard).toEqual([
      ['chat', '90'],
      ['note', '110'],
    ])
    expect(await positionOfNext()).toBe('110')
  })

  test('of before a join that come again with the stream are not heard a second time as live', async () => {
    const { client, stream, posts } = await open()
    const heard: unknown[] = []
    client.on('chat', (_, { cursor }) => heard.push(cursor))
    const joined = client.join('lobby')
    await settle()
    const payload = { room: 'lobby', participant_count: 1, cursor: '120' }
    posts()[0]?.answer(jsonResponse([{ type: 'ack', correlation_id: posts()[0]?.frames[0].id, payload }]))
    await joined
    for (const cursor of ['115', '121']) stream.say({ type: 'chat', id: cursor, room: 'lobby', cursor, payload: {} })
    await settle()
    expect(heard).toEqual(['121'])
  })

  test('that are refused together are refused each', async () => {
    const { client, posts } = await open()
    const outcome = client.request('a').catch((error) => error)
    await settle()
    const error = { code: 'RT_004', error_code: 'invalid_message', message: 'no', reconnect: false }
    posts()[0]?.answer(jsonResponse({ error }, 400))
    expect(await outcome).toMatchObject({ reason: 'invalid_message', code: 'RT_004' })
  })

  test('whose POST fails are said again on the next connection', async () => {
    const { runtime, client, posts, been } = await open()
    void client.publish({ room: 'lobby' }, 'chat', 1)
    await settle()
    const again = new FakeStream()
    runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? again.response : undefined)
    posts()[0]?.answer(new TypeError('fetch failed'))
    await settle()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
    await runtime.clock.advance(500)
    again.say(welcomeFrame({ connection_id: 'c2', cursor: '100' }))
    await settle()
    expect(posts()[1]?.frames).toMatchObject([{ connection_id: 'c2', payload: 1, id: posts()[0]?.frames[0].id }])
  })

  test('that find their session gone are said again to the next one, though the stream knows nothing of it', async () => {
    const { runtime, client, posts, been } = await open()
    void client.publish({ room: 'lobby' }, 'chat', 1)
    await settle()
    const payload = {
      code: 'RT_005',
      error_code: 'not_found',
      message: 'The connection has ended',
      reconnect: false,
      details: { field: 'connection_id' },
    }
    posts()[0]?.answer(jsonResponse([{ type: 'error', correlation_id: posts()[0]?.frames[0].id, payload }]))
    await settle()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
    const again = new FakeStream()
    runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? again.response : undefined)
    await runtime.clock.advance(500)
    again.say(welcomeFrame({ connection_id: 'c2', cursor: '100' }))
    await settle()
    expect(posts()[1]?.frames).toMatchObject([{ connection_id: 'c2', payload: 1, id: posts()[0]?.frames[0].id }])
  })

  test('are no more in one request than the server takes, however large', async () => {
    const { client, posts } = await open()
    const published = Array.from({ length: 40 }, (_, n) => client.publish({ room: 'lobby' }, 'chat', n))
    for (const at of [0, 1, 2]) {
      await settle()
      const acks = posts()[at]?.frames.map(({ id }: { id: string }) => ({
        type: 'ack',
        correlation_id: id,
        payload: {},
      }))
      posts()[at]?.answer(jsonResponse(acks))
    }
    await Promise.all(published)
    expect(posts().map(({ frames }) => frames.length)).toEqual([15, 15, 10])
  })

  test('carry the token that is in use, also after a refresh', async () => {
    const { client, stream, posts } = await open({ token: (reason) => `for-${reason}` })
    stream.say({ type: 'token_expiring', payload: { expires_in_ms: 1000 } })
    await settle()
    posts()[0]?.answer(jsonResponse([{ type: 'ack', correlation_id: posts()[0]?.frames[0].id, payload: {} }]))
    await settle()
    void client.publish({ room: 'lobby' }, 'chat', 1)
    await settle()
    expect(posts()[1]?.init.headers).toMatchObject({ authorization: 'Bearer for-expiring' })
  })

  test('with a token that was refused end the session, and a fresh one begins the next', async () => {
    const { client, posts, been } = await open()
    void client.publish({ room: 'lobby' }, 'chat', 1).catch(() => {})
    await settle()
    const error = { code: 'RT_002', error_code: 'token_revoked', message: 'no', reconnect: false }
    posts()[0]?.answer(jsonResponse({ error }, 401))
    await settle()
    expect(been()).toEqual(['suspended token_revoked'])
  })
})
