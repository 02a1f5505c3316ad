import { describe, expect, test } from 'bun:test'
import { tidings } from 'tidings'
import { type ClientOptions, type State, type StateChange, TidingsClient, type TransportName } from 'tidings/client'
import { msgpackCodec } from 'tidings/client/msgpack'
import { Type } from 'typebox'
import { startTestServer, type TestServer, type TestServerOptions, type Who } from '../../src/testing/index.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { LeapingClock } from '../support/leaping-clock.ts'
import { until } from '../support/until.ts'

const app = () =>
  tidings()
    .on(
      'vote_track',
      { payload: Type.Object({ track_id: Type.String() }), room: 'member' },
      ({ payload, room, user }) => {
        room.publish('track_voted', { track_id: payload.track_id, by: user.id })
        return { accepted: true }
      },
    )
    .on('never', async ({ user, publish }) => {
      await publish({ user_id: user.id }, 'begun', {})
      await new Promise<void>(() => {})
    })

type App = ReturnType<typeof app>

/** A server, a proxy before it, and clients of one transport that are closed at the end. */
async function setUp(transport: TransportName, { config = {} }: Pick<TestServerOptions, 'config'> = {}) {
  const served = app()
  const server = await startTestServer({ app: served as never, config: { limits: { per_user: 0 }, ...config } })
  const proxy = await FaultProxy.start(server.url)
  const clients: TidingsClient<App>[] = []
  const client = (who: Who, options: ClientOptions = {}): TidingsClient<App> => {
    const made = new TidingsClient<App>({
      url: `${proxy.url}/realtime`,
      token: () => server.token(who),
      transports: [transport],
      // Back at once: what is tried here is not the waiting.
      environment: { random: () => 0 },
      ...options,
    })
    clients.push(made)
    return made
  }
  return {
    server,
    proxy,
    client,
    async [Symbol.asyncDispose]() {
      for (const each of clients) each.close()
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** The next change to a state; at once where the client is in it already. */
function became(client: TidingsClient<App>, state: State): Promise<StateChange | undefined> {
  if (client.state === state) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const stop = client.onState((change) => {
      if (change.state !== state) return
      stop()
      resolve(change)
    })
  })
}

/** The next message of a type. */
function heard(client: TidingsClient<App>, type: string): Promise<unknown> {
  return new Promise((resolve) => {
    const stop = client.on(type, (payload) => {
      stop()
      resolve(payload)
    })
  })
}

async function connectionsOf(server: TestServer, user: string): Promise<number> {
  const { connections } = await fetch(`${server.url}/realtime/users/${user}`, {
    headers: { authorization: `Bearer ${await server.token({ user: 'root', roles: ['admin'] })}` },
  }).then((response) => response.json() as Promise<{ connections: number }>)
  return connections
}

/** Who polls says no goodbye. */
const SOON_GONE = { poll: { grace_ms: 300 } }

const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'poll']

describe.each(TRANSPORTS)('over %s', (transport) => {
  describe('a client of a server', () => {
    test.each([
      ['JSON', {}],
      ['MessagePack', { codec: msgpackCodec }],
    ])('talks in %s with others in a room, and asks handlers', async (_, options) => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice', name: 'Alice' }, options)
      const bob = setting.client({ user: 'bob' })
      await Promise.all([alice.connect(), bob.connect()])
      await bob.join('lobby')
      const arrival = heard(bob, 'user_joined_room')
      const lobby = await alice.join('lobby')
      expect(await arrival).toMatchObject({ user: { id: 'alice', username: 'Alice' }, participant_count: 2 })
      expect([lobby.participantCount, bob.room('lobby').participantCount]).toEqual([2, 2])

      const messages: unknown[] = []
      bob.room('lobby').on('chat', (payload, { sender, own, id }) => messages.push({ payload, sender, own, id }))
      const file = new Uint8Array([0, 255])
      const { id, online } = await lobby.publish('chat', { text: 'hi', file })
      expect(online).toBe(1)
      const voted = heard(bob, 'track_voted')
      expect(await alice.request('vote_track', { track_id: 't1' })).toEqual({ accepted: true })
      expect(await voted).toEqual({ track_id: 't1', by: 'alice' })
      const sender = { userId: 'alice', deviceId: alice.welcome?.device_id, username: 'Alice' }
      expect(messages).toEqual([{ payload: { text: 'hi', file }, sender, own: false, id }])
    })

    test('answers an event that asks', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice' })
      alice.on('sure?', async ({ about }: { about: string }) => `about ${about}: yes`)
      await alice.connect()
      const { answers } = await setting.server.app.emitWithAck(
        { user_id: 'alice' },
        'sure?',
        { about: 'it' },
        { timeoutMs: 5000 },
      )
      expect(answers.map(({ result }) => result)).toEqual(['about it: yes'])
    })

    test('shares the state of a room', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [setting.client({ user: 'alice' }), setting.client({ user: 'bob' })]
      await Promise.all([alice.connect(), bob.connect()])
      const [room] = await Promise.all([alice.join('lobby'), bob.join('lobby')])
      const change = heard(bob, 'room_state_changed')
      const version = await room.setState({ playing: 't1' })
      expect(await change).toMatchObject({ room_id: 'lobby', patch: { playing: 't1' }, version })
      expect(await room.state()).toEqual({
        participants: expect.arrayContaining(['alice', 'bob'].map((id) => ({ id, username: null }))),
        participantCount: 2,
        state: { playing: 't1' },
        version,
      })
      expect(await room.setState({}, version + 7).catch((error) => error)).toMatchObject({ reason: 'version_conflict' })
    })
  })

  describe('what the server refuses', () => {
    test('no token: is suspended, and knows why', async () => {
      await using setting = await setUp(transport)
      const { environment } = { environment: { random: () => 0 } }
      const nobody = new TidingsClient({ url: `${setting.proxy.url}/realtime`, transports: [transport], environment })
      expect(await nobody.connect().catch((error) => error)).toMatchObject({
        code: 'RT_001',
        reason: 'authentication_required',
        reconnect: false,
      })
      expect(nobody.state).toBe('suspended')
    })

    test('an old token: fetches a fresh one and is in', async () => {
      await using setting = await setUp(transport)
      const reasons: string[] = []
      const alice = setting.client(
        { user: 'alice' },
        {
          token: (reason) => {
            reasons.push(reason)
            return setting.server.token({ user: 'alice', expiresIn: reason === 'connect' ? -5 : 600 })
          },
        },
      )
      await alice.connect()
      expect(reasons).toEqual(['connect', 'refused'])
    })

    test('a token that expires while connected: refreshes it in time and stays', async () => {
      await using setting = await setUp(transport)
      const reasons: string[] = []
      const alice = setting.client(
        { user: 'alice' },
        {
          token: (reason) => {
            reasons.push(reason)
            // Less is left than the server warns ahead, so that it warns at once.
            return setting.server.token({ user: 'alice', expiresIn: reason === 'connect' ? 30 : 600 })
          },
        },
      )
      const changes: State[] = []
      alice.onState(({ state }) => changes.push(state))
      const warned = heard(alice, 'token_expiring')
      await alice.connect()
      await warned
      // Frames are handled in order: the token has been taken when this is answered.
      await alice.join('lobby')
      expect(reasons).toEqual(['connect', 'expiring'])
      expect(changes).toEqual(['connecting', 'open'])
    })

    test('one connection too many: waits and comes in when there is room', async () => {
      await using setting = await setUp(transport, {
        config: { limits: { per_user: 1 }, ...SOON_GONE },
      })
      const [first, second] = [setting.client({ user: 'alice' }), setting.client({ user: 'alice' })]
      await first.connect()
      const refused = became(second, 'waiting')
      void second.connect()
      const { error, retryInMs } = (await refused) ?? {}
      expect(error).toMatchObject({ reason: 'connection_limit', code: 'RT_007', reconnect: true })
      expect(retryInMs).toBe(error?.retryAfterMs)
      first.close()
      await until(async () => (await connectionsOf(setting.server, 'alice')) === 0)
      await second.connect()
      expect(second.state).toBe('open')
    })

    test.each([false, true])(
      'who is sent away by an administrator obeys the advice: reconnect %p',
      async (reconnect) => {
        await using setting = await setUp(transport)
        const alice = setting.client({ user: 'alice' })
        await alice.connect()
        const end = became(alice, reconnect ? 'waiting' : 'suspended')
        const token = await setting.server.token({ user: 'root', roles: ['admin'] })
        await fetch(`${setting.server.url}/realtime/connections?user_id=alice&reconnect=${reconnect}`, {
          method: 'DELETE',
          headers: { authorization: `Bearer ${token}` },
        })
        expect((await end)?.error).toMatchObject({ reason: 'disconnected', code: 'RT_003', reconnect })
        if (reconnect) await became(alice, 'open')
      },
    )

    test('a room that is not for everybody: rejects, and stays connected', async () => {
      await using setting = await setUp(transport, { config: { rooms: [{ pattern: 'staff', join: 'role:staff' }] } })
      const alice = setting.client({ user: 'alice' })
      await alice.connect()
      expect(await alice.join('staff').catch((error) => error)).toMatchObject({ reason: 'forbidden' })
      expect((await alice.join('lobby')).participantCount).toBe(1)
    })
  })

  describe('when the network fails', () => {
    test('a cut connection comes back, in its rooms', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [setting.client({ user: 'alice' }), setting.client({ user: 'bob' })]
      await Promise.all([alice.connect(), bob.connect()])
      await Promise.all([alice.join('lobby'), bob.join('lobby'), bob.join('other')])
      setting.proxy.cut()
      let message: unknown
      bob.on('chat', (payload) => {
        message = payload
      })
      // Nothing is kept in this room: what is said before bob is back is not for him.
      await until(async () => {
        await alice.room('lobby').publish('chat', 'still here')
        return message !== undefined
      })
      expect(message).toBe('still here')
      expect(bob.room('other').participantCount).toBe(1)
    })

    test('a message whose acknowledgement is lost is delivered once, and its promise resolves', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [
        setting.client({ user: 'alice', device: 'laptop' }),
        setting.client({ user: 'bob' }, { url: `${setting.server.url}/realtime` }),
      ]
      await Promise.all([alice.connect(), bob.connect()])
      const messages: unknown[] = []
      bob.on('chat', (payload) => messages.push(payload))
      setting.proxy.dropReplyTo(transport === 'websocket' ? /^/ : /^POST/)
      const { id } = await alice.publish({ user_id: 'bob' }, 'chat', 'once')
      expect(setting.proxy.repliesDropped).toBe(1)
      const last = heard(bob, 'end')
      await alice.publish({ user_id: 'bob' }, 'end', {})
      await last
      expect(messages).toEqual(['once'])
      expect(id).toBeString()
    })

    test('a message to a session that has just ended is said again to the next one, and delivered once', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice', device: 'laptop' })
      const bob = setting.client({ user: 'bob' }, { url: `${setting.server.url}/realtime`, transports: ['websocket'] })
      await Promise.all([alice.connect(), bob.connect()])
      const messages: unknown[] = []
      bob.on('chat', (payload) => messages.push(payload))
      const { hub } = setting.server
      for (const n of [0, 1, 2]) {
        await became(alice, 'open')
        const session = hub.registry.get(alice.welcome?.connection_id ?? '')
        const published = alice.publish({ user_id: 'bob' }, 'chat', n)
        if (session !== undefined) hub.close(session, 1011, 'unavailable')
        await published
      }
      await until(() => messages.length >= 3)
      expect(messages).toEqual([0, 1, 2])
    })

    test('messages that are sent meanwhile arrive in order', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice', device: 'laptop' })
      const bob = setting.client({ user: 'bob' }, { url: `${setting.server.url}/realtime` })
      await Promise.all([alice.connect(), bob.connect()])
      const messages: unknown[] = []
      bob.on('chat', (payload) => messages.push(payload))
      setting.proxy.set({ refuse: true })
      setting.proxy.cut()
      const published = [1, 2, 3].map((n) => alice.publish({ user_id: 'bob' }, 'chat', n))
      await became(alice, 'waiting')
      setting.proxy.heal()
      await Promise.all(published)
      await until(() => messages.length === 3)
      expect(messages).toEqual([1, 2, 3])
    })

    test('a request that may have been handled rejects as lost', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice' })
      await alice.connect()
      const begun = heard(alice, 'begun')
      const never = alice.request('never')
      await begun
      setting.proxy.cut()
      expect(await never.catch((error) => error)).toMatchObject({ reason: 'connection_lost', maybeDone: true })
    })

    test('a connection that nobody told the end of is noticed by its silence', async () => {
      await using setting = await setUp(transport)
      const clock = new LeapingClock()
      const alice = setting.client({ user: 'alice' }, { environment: { random: () => 0, clock } })
      await alice.connect()
      setting.proxy.set({ blackHole: 'both' })
      const lost = became(alice, 'waiting')
      await until(() => {
        clock.leap(10_000)
        return alice.state !== 'open'
      })
      expect((await lost)?.error?.reason).toBe('unreachable')
      setting.proxy.heal()
      await became(alice, 'open')
    })

    test('frames that come in single bytes are frames', async () => {
      await using setting = await setUp(transport)
      setting.proxy.set({ pieceBytes: 1 })
      const alice = setting.client({ user: 'alice' })
      await alice.connect()
      expect((await alice.join('lobby')).participantCount).toBe(1)
    })
  })

  describe('when the server goes', () => {
    test('after a drain the client comes back when it was told to, and goes on', async () => {
      await using setting = await setUp(transport, { config: { drain: { window_ms: 300 } } })
      const alice = setting.client({ user: 'alice' })
      await alice.connect()
      // Who is the last to be sent away may be cut off in the middle of being told.
      await using _last = await setting.server.connect({ user: 'bob' })
      const waiting = became(alice, 'waiting')
      await setting.server.stop()
      const change = await waiting
      expect(change?.error?.reason).toBe('draining')
      expect(change?.retryInMs).toBeNumber()
    })

    test('a client that is closed is gone there', async () => {
      await using setting = await setUp(transport, { config: SOON_GONE })
      const alice = setting.client({ user: 'alice' })
      await alice.connect()
      expect(await connectionsOf(setting.server, 'alice')).toBe(1)
      alice.close()
      await until(async () => (await connectionsOf(setting.server, 'alice')) === 0)
    })
  })
})
