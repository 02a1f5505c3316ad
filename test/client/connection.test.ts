import { describe, expect, test } from 'bun:test'
import { type Environment, TidingsClient } from '../../src/client/index.ts'
import { FakeRuntime, FakeStream, jsonResponse, settle, stateWords } from './fakes.ts'
import { setUp } from './set-up.ts'

/** Only WebSockets, so that a failed one is a failed attempt. */
const WEBSOCKET = { transports: ['websocket'] } as const
const DRAINING = { code: 'RT_009', error_code: 'draining', message: 'bye', reconnect: true }

describe('connecting', () => {
  test('the token goes as a subprotocol and stands in no address', async () => {
    const { runtime, client } = setUp()
    void client.connect()
    await settle()
    expect(runtime.socket.protocols).toEqual(['tidings.v1.json', 'token.secret'])
    expect(runtime.socket.url.href).toBe('wss://example.com/realtime?ack=explicit&close_reason=1')
  })

  test('a token that cannot be a subprotocol goes into the address after all', async () => {
    const { runtime, client } = setUp({ token: 'a b=' })
    void client.connect()
    await settle()
    expect(runtime.socket.protocols).toEqual(['tidings.v1.json'])
    expect(runtime.socket.url.searchParams.get('token')).toBe('a b=')
  })

  test('is open with the welcome, not before', async () => {
    const { runtime, client, been } = setUp()
    const connected = client.connect()
    await settle()
    expect(been()).toEqual(['connecting'])
    runtime.socket.welcome({ user_id: 'alice' })
    await connected
    expect(been()).toEqual(['open websocket'])
    expect([client.state, client.transport, client.welcome?.user_id]).toEqual(['open', 'websocket', 'alice'])
  })

  test('asking twice makes one connection', async () => {
    const { runtime, client } = setUp()
    const both = Promise.all([client.connect(), client.connect()])
    await settle()
    runtime.socket.welcome()
    await both
    expect(runtime.sockets).toHaveLength(1)
  })

  test('a welcome that does not come in ten seconds is not waited for', async () => {
    const { runtime, client, been } = setUp(WEBSOCKET)
    void client.connect()
    await runtime.clock.advance(10_000)
    expect(runtime.socket.closed).toBe(1000)
    expect(been()).toEqual(['connecting', 'waiting 500 ms timeout'])
  })
})

describe('coming back', () => {
  test('waits longer after each failure, a random part of a bound that doubles', async () => {
    const { runtime, client, been } = setUp(WEBSOCKET)
    runtime.onSocket = (socket) => socket.break()
    void client.connect()
    await runtime.clock.advance(7500)
    expect(been().filter((words) => words.startsWith('waiting'))).toEqual([
      'waiting 500 ms unreachable',
      'waiting 1000 ms unreachable',
      'waiting 2000 ms unreachable',
      'waiting 4000 ms unreachable',
      'waiting 8000 ms unreachable',
    ])
  })

  test('brings the position, the device and the connection to resume', async () => {
    const { runtime, open } = setUp()
    await open({ connection_id: 'c1', device_id: 'made-up', cursor: '100' })
    runtime.socket.say({ type: 'chat', id: 'm1', cursor: '105', payload: {} })
    runtime.socket.break()
    await runtime.clock.advance(500)
    const { searchParams } = runtime.socket.url
    expect(Object.fromEntries(searchParams)).toEqual({
      ack: 'explicit',
      cursor: '105',
      resume: 'c1',
      device_id: 'made-up',
      close_reason: '1',
    })
  })

  test('counts failures anew after a connection that lived, and on after one that did not', async () => {
    const { runtime, been, open } = setUp()
    await open()
    await runtime.clock.advance(4999)
    runtime.socket.break()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
    await runtime.clock.advance(500)
    runtime.socket.welcome()
    runtime.socket.break()
    expect(been().at(-1)).toBe('waiting 1000 ms unreachable')
    await runtime.clock.advance(1000)
    runtime.socket.welcome()
    await runtime.clock.advance(5000)
    runtime.socket.break()
    expect(been().at(-1)).toBe('waiting 500 ms unreachable')
  })

  test('obeys retry_after_ms, and nothing hurries it', async () => {
    const { runtime, client, been } = setUp()
    void client.connect()
    await settle()
    const full = {
      code: 'RT_007',
      error_code: 'connection_limit',
      message: 'full',
      reconnect: true,
      retry_after_ms: 9000,
    }
    runtime.socket.say({ type: 'error', payload: full, correlation_id: 'x' })
    runtime.socket.break(1013, 'connection_limit')
    expect(been()).toEqual(['connecting', 'waiting 9500 ms connection_limit'])
    runtime.page.fire('online')
    await runtime.clock.advance(9499)
    expect(runtime.sockets).toHaveLength(1)
    await runtime.clock.advance(1)
    expect(runtime.sockets).toHaveLength(2)
  })

  test('after a drain comes when this very client was told to', async () => {
    const { runtime, been, open } = setUp()
    await open()
    runtime.socket.say({ type: 'server_draining', payload: { reason: 'deploy', reconnect_after_ms: 3456 } })
    runtime.socket.say({ type: 'error', payload: DRAINING, correlation_id: 'x' })
    runtime.socket.break(1012, 'draining')
    expect(been()).toEqual(['waiting 3456 ms draining'])
    await runtime.clock.advance(3456)
    runtime.socket.welcome()
    await runtime.clock.advance(5000)
    runtime.socket.break()
    expect(been().at(-1)).toBe('waiting 500 ms unreachable')
  })

  test.each(['online', 'pageshow', 'visibilitychange'])('does not wait when the page says %s', async (event) => {
    const { runtime, been, open } = setUp()
    await open()
    runtime.socket.break()
    runtime.page.fire(event)
    await settle()
    expect(been()).toEqual(['waiting 500 ms unreachable', 'connecting'])
    expect(runtime.sockets).toHaveLength(2)
  })

  test('does not hurry for a page that is being hidden', async () => {
    const { runtime, been, open } = setUp()
    await open()
    runtime.socket.break()
    runtime.page.document.visibilityState = 'hidden'
    runtime.page.fire('visibilitychange')
    await settle()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
  })
})

describe('is suspended, and comes back only when asked', () => {
  test('when an administrator has disconnected it', async () => {
    const { runtime, client, been, open } = setUp()
    await open()
    const payload = { code: 'RT_003', error_code: 'disconnected', message: 'bye', reconnect: false }
    runtime.socket.say({ type: 'error', payload, correlation_id: 'x' })
    runtime.socket.break(4003, 'disconnected')
    await runtime.clock.advance(600_000)
    runtime.page.fire('online')
    await settle()
    expect(been()).toEqual(['suspended disconnected'])
    expect(runtime.sockets).toHaveLength(1)
    void client.connect()
    await settle()
    expect(runtime.sockets).toHaveLength(2)
  })

  test('when the administrator turned the advice round it is not', async () => {
    const { runtime, been, open } = setUp()
    await open()
    const payload = { code: 'RT_003', error_code: 'disconnected', message: 'bye', reconnect: true }
    runtime.socket.say({ type: 'error', payload, correlation_id: 'x' })
    runtime.socket.break(4003, 'disconnected')
    expect(been()).toEqual(['waiting 500 ms disconnected'])
  })

  test('when another connection has taken its place', async () => {
    const { runtime, been, open } = setUp()
    await open()
    runtime.socket.break(4009, 'connection_limit')
    expect(been()).toEqual(['suspended connection_limit'])
  })

  test('and whoever waits for something is told why', async () => {
    const { runtime, client, open } = setUp()
    await open()
    const outcomes = Promise.allSettled([client.publish('all', 'chat', {}), client.join('lobby')])
    runtime.socket.break(4003, 'forbidden')
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { reconnect: false } },
      { status: 'rejected', reason: { reconnect: false } },
    ])
  })

  test('but an error that answers one frame, long before the connection breaks, suspends nothing', async () => {
    const { runtime, been, open } = setUp()
    await open()
    const payload = { code: 'RT_003', error_code: 'forbidden', message: 'not this room', reconnect: false }
    runtime.socket.say({ type: 'error', payload, correlation_id: 'x' })
    runtime.socket.break()
    expect(been()).toEqual(['waiting 500 ms unreachable'])
  })
})

describe('a token', () => {
  const expired = { code: 'RT_002', error_code: 'token_expired', message: 'expired', reconnect: false }

  function refuse({ runtime }: { runtime: FakeRuntime }): void {
    runtime.socket.say({ type: 'error', payload: expired, correlation_id: 'x' })
    runtime.socket.break(4001, 'token_expired')
  }

  test('that is refused is replaced at once, and a fresh one that is refused suspends', async () => {
    const tokens = ['old', 'fresh']
    const context = setUp({ token: () => tokens.shift() ?? 'more' })
    const { runtime, client, been } = context
    const connected = client.connect().catch((error) => error)
    await settle()
    refuse(context)
    await settle()
    expect(runtime.sockets.map(({ protocols }) => protocols[1])).toEqual(['token.old', 'token.fresh'])
    refuse(context)
    expect(await connected).toMatchObject({ reason: 'token_expired', code: 'RT_002' })
    expect(been()).toEqual(['connecting', 'connecting', 'suspended token_expired'])
  })

  test('that is fixed and refused suspends', async () => {
    const context = setUp()
    void context.client.connect().catch(() => {})
    await settle()
    refuse(context)
    expect(context.been()).toEqual(['connecting', 'suspended token_expired'])
  })

  test('is refreshed before it expires, over the connection that is open', async () => {
    const reasons: string[] = []
    const { runtime, been, open } = setUp({
      token: (reason) => {
        reasons.push(reason)
        return `for-${reason}`
      },
    })
    await open()
    runtime.socket.say({ type: 'token_expiring', payload: { expires_in_ms: 60_000 } })
    await settle()
    expect(runtime.socket.last('refresh_token')).toMatchObject({ payload: { token: 'for-expiring' } })
    runtime.socket.ack('refresh_token', { expires_at: 1 })
    await settle()
    expect(reasons).toEqual(['connect', 'expiring'])
    expect(been()).toEqual([])
  })

  test('that cannot be fetched is tried for again', async () => {
    let fail = true
    const { runtime, client, been } = setUp({
      token: async () => {
        if (fail) throw new Error('offline')
        return 'token'
      },
    })
    void client.connect()
    await settle()
    expect(been()).toEqual(['connecting', 'waiting 500 ms no_token'])
    fail = false
    await runtime.clock.advance(500)
    expect(runtime.socket.protocols[1]).toBe('token.token')
  })
})

describe('closing', () => {
  test('ends everything, and leaves no timer and no listener behind', async () => {
    const { runtime, client, been, open } = setUp()
    await open()
    const waiting = client.publish('all', 'chat', {}).catch((error) => error.reason)
    client.close()
    expect(await waiting).toBe('closed')
    expect(been()).toEqual(['closed'])
    expect(runtime.socket.closed).toBe(1000)
    expect(runtime.clock.pending).toBe(0)
    expect([...runtime.page.listeners.values()].every((listeners) => listeners.size === 0)).toBe(true)
  })

  test.each(['token', 'socket', 'waiting'])('while it waits for the %s ends that too', async (what) => {
    const token = Promise.withResolvers<string>()
    const { runtime, client, been } = setUp({
      ...WEBSOCKET,
      token: () => (what === 'token' ? token.promise : 'secret'),
    })
    const connected = client.connect().catch((error) => error.reason)
    await settle()
    if (what === 'waiting') runtime.socket.break()
    client.close()
    token.resolve('late')
    await runtime.clock.advance(60_000)
    expect(await connected).toBe('closed')
    expect(been().at(-1)).toBe('closed')
    expect(runtime.sockets.filter(({ closed }) => closed === undefined)).toEqual([])
    expect(runtime.clock.pending).toBe(0)
  })

  test('is not for ever: connecting begins anew', async () => {
    const { runtime, client, open } = setUp()
    await open()
    client.close()
    await open()
    expect(client.state).toBe('open')
    expect(runtime.sockets).toHaveLength(2)
  })
})

describe('a dead connection', () => {
  test('is noticed by its silence and replaced', async () => {
    const { runtime, been, open } = setUp()
    await open({ heartbeat: { interval_ms: 10_000, timeout_ms: 20_000 } })
    await runtime.clock.advance(10_000)
    expect(runtime.socket.sent).toEqual([{ type: 'ping' }])
    await runtime.clock.advance(10_000)
    expect(been()).toEqual(['waiting 500 ms unreachable'])
    expect(runtime.socket.closed).toBe(1000)
  })

  test('is noticed within seconds of the network’s return', async () => {
    const { runtime, been, open } = setUp()
    await open()
    runtime.page.fire('online')
    await runtime.clock.advance(5000)
    expect(been()).toEqual(['waiting 500 ms unreachable'])
  })

  test('is none while the server answers', async () => {
    const { runtime, been, open } = setUp()
    await open({ heartbeat: { interval_ms: 10_000, timeout_ms: 20_000 } })
    for (let turn = 0; turn < 10; turn++) {
      await runtime.clock.advance(10_000)
      runtime.socket.say({ type: 'pong', payload: { server_time: 1 } })
    }
    expect(been()).toEqual([])
  })
})

describe('where WebSockets do not get through', () => {
  test('an event stream is tried in the same attempt, and after it polling', async () => {
    const { runtime, client, been } = setUp()
    runtime.onSocket = (socket) => socket.break()
    runtime.onRequest = ({ pathname }) =>
      pathname === '/realtime/sse' ? new Response('a portal', { headers: { 'content-type': 'text/html' } }) : undefined
    void client.connect()
    await settle()
    expect(runtime.requests.map(({ url }) => url.pathname)).toEqual(['/realtime/sse', '/realtime/poll'])
    expect(been()).toEqual(['connecting'])
  })

  test('a server that no request reaches is not tried in every way', async () => {
    const { runtime, client, been } = setUp()
    runtime.onSocket = (socket) => socket.break()
    runtime.onRequest = () => new TypeError('fetch failed')
    void client.connect()
    await settle()
    expect(runtime.requests.map(({ url }) => url.pathname)).toEqual(['/realtime/sse'])
    expect(been()).toEqual(['connecting', 'waiting 500 ms unreachable'])
  })

  test('a refusal over HTTP is obeyed like any other', async () => {
    const { runtime, client, been } = setUp()
    runtime.onSocket = (socket) => socket.break()
    const error = { code: 'RT_001', error_code: 'authentication_required', message: 'who?', reconnect: false }
    runtime.onRequest = () => jsonResponse({ error }, 403)
    void client.connect().catch(() => {})
    await settle()
    expect(been()).toEqual(['connecting', 'suspended authentication_required'])
  })

  test('a runtime without WebSockets begins with what it has', async () => {
    const runtime = new FakeRuntime()
    const environment = { ...runtime.environment, WebSocket: undefined }
    const client = new TidingsClient({ url: 'http://example.com/realtime', environment })
    void client.connect()
    await settle()
    expect(runtime.requests.map(({ url }) => url.pathname)).toEqual(['/realtime/sse'])
    runtime.requests[0]?.answer(new FakeStream().response)
    await runtime.clock.advance(9000)
    client.close()
  })

  test('a WebSocket that cannot even be made is one that does not get through', async () => {
    const runtime = new FakeRuntime()
    const WebSocket = class {
      constructor() {
        throw new SyntaxError('blocked by a policy')
      }
    } as unknown as NonNullable<Environment['WebSocket']>
    const environment = { ...runtime.environment, WebSocket }
    const client = new TidingsClient({ url: 'http://example.com/realtime', environment })
    void client.connect()
    await settle()
    expect(runtime.requests.map(({ url }) => url.pathname)).toEqual(['/realtime/sse'])
    client.close()
  })

  test('a runtime that has nothing of what may be used says so, and goes on trying', async () => {
    const runtime = new FakeRuntime()
    const environment = { ...runtime.environment, WebSocket: undefined }
    const client = new TidingsClient({ url: 'http://example.com/realtime', environment, ...WEBSOCKET })
    const states: string[] = []
    client.onState((change) => states.push(stateWords(change)))
    void client.connect()
    await settle()
    expect(states).toEqual(['connecting', 'waiting 500 ms unreachable'])
    client.close()
  })
})
