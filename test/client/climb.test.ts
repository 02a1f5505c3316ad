import { describe, expect, test } from 'bun:test'
import { TidingsClient } from '../../src/client/index.ts'
import { FakeRuntime, FakeStream, settle, welcomeFrame } from './fakes.ts'
import { setUp } from './set-up.ts'

/** A client that came to an event stream because WebSockets did not get through. */
async function onStream() {
  const context = setUp()
  const { runtime, client } = context
  const stream = new FakeStream()
  runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? stream.response : undefined)
  runtime.onSocket = (socket) => socket.break()
  void client.connect()
  await settle()
  stream.say(welcomeFrame({ connection_id: 'c1', cursor: '100' }))
  await settle()
  context.been()
  const refuse = { code: 'RT_001', error_code: 'authentication_required', message: 'who?', reconnect: false }
  /** From now on sockets work: a look is refused, and what comes with a token waits for the test. */
  const unblock = (): void => {
    runtime.onSocket = (socket) => {
      if (socket.protocols.length === 1) socket.say({ type: 'error', payload: refuse, correlation_id: 'x' })
    }
  }
  return { ...context, stream, unblock }
}

describe('on a lesser transport', () => {
  test('a client looks for the best one, ever more rarely', async () => {
    const { runtime, been } = await onStream()
    const looks: number[] = []
    runtime.onSocket = (socket) => {
      looks.push(runtime.clock.now() - 1000)
      socket.break()
    }
    await runtime.clock.advance(59_000)
    expect(looks).toEqual([30_000])
    expect(been()).toEqual([])
  })

  test('a client whose connection is lost now and then looks all the same', async () => {
    const { runtime, client, stream } = await onStream()
    const looks: number[] = []
    runtime.onSocket = (socket) => {
      looks.push(runtime.clock.now() - 1000)
      socket.break()
    }
    let present = stream
    for (let seconds = 0; seconds < 60; seconds += 20) {
      await runtime.clock.advance(19_500)
      present.end()
      present = new FakeStream()
      const { response } = present
      runtime.onRequest = ({ pathname }) => (pathname === '/realtime/sse' ? response : undefined)
      await runtime.clock.advance(500)
      present.say(welcomeFrame({ connection_id: `again-${seconds}`, cursor: '100' }))
      await settle()
    }
    expect(client.transport).toBe('sse')
    expect(looks).toEqual([30_000])
    await runtime.clock.advance(30_000)
    expect(looks).toEqual([30_000, 90_000])
  })

  test('a look shows no token: whatever answers it, nothing of the session is at stake', async () => {
    const { runtime } = await onStream()
    await runtime.clock.advance(30_000)
    expect(runtime.socket.protocols).toEqual(['tidings.v1.json'])
    expect(runtime.socket.url.search).toBe('?close_reason=1')
  })

  test('a look that nobody answers ends after ten seconds', async () => {
    const { runtime, stream } = await onStream()
    runtime.onSocket = () => {}
    await runtime.clock.advance(30_000)
    stream.write('id: 100\n\n')
    await runtime.clock.advance(10_000)
    expect(runtime.socket.closed).toBe(1000)
    expect(runtime.sockets).toHaveLength(2)
  })

  test('moves up with its session when WebSockets work, and hears each message once', async () => {
    const { runtime, client, stream, been, unblock } = await onStream()
    const heard: unknown[] = []
    client.on('chat', (_, { cursor }) => heard.push(cursor))
    const chat = (cursor: string) => ({ type: 'chat', id: cursor, cursor, payload: {} })
    unblock()
    await runtime.clock.advance(30_000)
    expect(runtime.socket.protocols[1]).toBe('token.secret')
    const { searchParams } = runtime.socket.url
    expect([searchParams.get('resume'), searchParams.get('cursor')]).toEqual(['c1', '100'])
    stream.say(chat('101'))
    await settle()
    runtime.socket.welcome({ connection_id: 'c2', cursor: '100' })
    stream.say(chat('102'))
    runtime.socket.say(chat('101'), chat('102'), chat('103'))
    await settle()
    expect(heard).toEqual(['101', '102', '103'])
    expect(been()).toEqual(['open websocket'])
    expect(runtime.requests[0]?.init.signal?.aborted).toBe(true)
  })

  // The server ends the former session before the new one can say welcome.
  test('is not stopped by the end of the session that it moves up with', async () => {
    const { runtime, client, stream, been, unblock } = await onStream()
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    unblock()
    await runtime.clock.advance(30_000)
    const payload = { code: 'RT_007', error_code: 'connection_limit', message: 'Taken over', reconnect: false }
    stream.say({ type: 'error', payload })
    stream.end()
    await settle()
    runtime.socket.welcome({ connection_id: 'c2', cursor: '100' })
    await settle()
    expect(been()).toEqual(['connecting', 'open websocket'])
    expect(errors).toEqual([])
  })

  test('whose session has ended and that cannot be moved comes back in the ordinary way', async () => {
    const { runtime, stream, been, unblock } = await onStream()
    unblock()
    await runtime.clock.advance(30_000)
    stream.end()
    await settle()
    runtime.socket.break()
    await settle()
    expect(been()).toEqual(['connecting', 'waiting 500 ms unreachable'])
  })

  test('what is said during the move goes out on the new connection', async () => {
    const { runtime, client, unblock } = await onStream()
    unblock()
    await runtime.clock.advance(30_000)
    void client.request('vote')
    await settle()
    expect(runtime.requests).toHaveLength(1)
    runtime.socket.welcome({ connection_id: 'c2' })
    expect(runtime.socket.sent).toMatchObject([{ type: 'vote' }])
  })

  test('waits for an answer that the move would lose', async () => {
    const { runtime, client, unblock } = await onStream()
    unblock()
    await runtime.clock.advance(29_000)
    const vote = client.request('vote', {}, { timeoutMs: 2500 }).catch((error) => error.reason)
    await runtime.clock.advance(2000)
    expect(runtime.sockets).toHaveLength(2)
    await runtime.clock.advance(2000)
    expect(await vote).toBe('timeout')
    expect(runtime.socket.protocols[1]).toBe('token.secret')
  })

  test('that cannot be moved after all stays, and what waited goes out there', async () => {
    const { runtime, client, been, unblock } = await onStream()
    unblock()
    await runtime.clock.advance(30_000)
    void client.request('vote')
    runtime.socket.break()
    await settle()
    expect(runtime.requests.at(-1)?.url.pathname).toBe('/realtime/send')
    expect(been()).toEqual([])
  })

  test('that is lost goes on where it worked last, not with what is blocked', async () => {
    const { runtime, stream } = await onStream()
    runtime.onRequest = () => undefined
    stream.end()
    const sockets = runtime.sockets.length
    await runtime.clock.advance(500)
    expect(runtime.sockets).toHaveLength(sockets)
    expect(runtime.requests.at(-1)?.url.pathname).toBe('/realtime/sse')
  })

  test('on another network begins with the best again', async () => {
    const { runtime, stream } = await onStream()
    stream.end()
    await settle()
    const sockets = runtime.sockets.length
    runtime.page.fire('online')
    await settle()
    expect(runtime.sockets).toHaveLength(sockets + 1)
  })

  test('a runtime without WebSockets has nothing to climb to', async () => {
    const runtime = new FakeRuntime()
    const environment = { ...runtime.environment, WebSocket: undefined }
    const client = new TidingsClient({ url: 'http://example.com/realtime', environment })
    const stream = new FakeStream()
    runtime.onRequest = () => stream.response
    void client.connect()
    await settle()
    stream.say(welcomeFrame())
    await settle()
    expect(client.transport).toBe('sse')
    stream.write('id: 1\n\n')
    await runtime.clock.advance(40_000)
    expect(client.state).toBe('open')
    client.close()
  })
})
