/** What the server keeps, as the client's listeners get it: once, in order, over cuts, restarts and devices. */
import { describe, expect, test } from 'bun:test'
import type { ClientOptions, Message, TransportName } from 'tidings/client'
import { startTestServer, type TestServerOptions, type Who } from '../../src/testing/index.ts'
import { restartContract } from '../contracts/restart.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { clientsOf, collect, numbers } from '../support/clients.ts'
import { until } from '../support/until.ts'

const KEEPS = { rooms: [{ pattern: 'kept*', history: { max_messages: 2000, max_age: '1h' as const } }] }

/** A server, and a proxy before it through which clients of one transport connect, unless they say otherwise. */
async function setUp(transport: TransportName, { config = {} }: Pick<TestServerOptions, 'config'> = {}) {
  const server = await startTestServer({
    config: { ...KEEPS, ...config, limits: { per_user: 0, messages_per_second: 0, ...config.limits } },
  })
  const proxy = await FaultProxy.start(server.url)
  const clients = clientsOf(proxy.url, server.token)
  return {
    server,
    proxy,
    client: (who: Who, options: ClientOptions = {}) => clients.client(who, { transports: [transport], ...options }),
    /** Not through the proxy: its connection is not cut. */
    direct: { url: `${server.url}/realtime` },
    async [Symbol.asyncDispose]() {
      clients.closeAll()
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  describe('a connection that is cut', () => {
    test('brings everything of its rooms and its inbox once and in order, however often', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice' })
      const bob = setting.client({ user: 'bob' }, setting.direct)
      await Promise.all([alice.connect(), bob.connect()])
      await Promise.all([alice.join('kept-a'), alice.join('kept-b'), bob.join('kept-a'), bob.join('kept-b')])
      const heard = collect(alice, 'count')
      const gaps = collect(alice, 'gap')
      const places = [{ room: 'kept-a' }, { room: 'kept-b' }, { user_id: 'alice' }]
      for (const n of numbers(300)) {
        await bob.publish(places[n % 3] as { room: string }, 'count', n)
        if (n % 40 === 20) setting.proxy.cut()
      }
      await until(() => heard.length >= 300)
      await bob.publish({ room: 'kept-b' }, 'count', 'end')
      await until(() => heard.includes('end'))
      expect(heard).toEqual([...numbers(300), 'end'])
      expect(gaps).toEqual([])
    })

    test('brings what was said while it was away, and says in the welcome how much', async () => {
      await using setting = await setUp(transport)
      const alice = setting.client({ user: 'alice' })
      const bob = setting.client({ user: 'bob' }, setting.direct)
      await Promise.all([alice.connect(), bob.connect()])
      await alice.join('kept')
      await bob.join('kept')
      const heard = collect(alice, 'count')
      setting.proxy.set({ refuse: true })
      setting.proxy.cut()
      await until(() => alice.state !== 'open')
      for (const n of numbers(5)) await bob.publish({ room: 'kept' }, 'count', n)
      setting.proxy.heal()
      await until(() => heard.length === 5)
      expect(heard).toEqual(numbers(5))
      expect(alice.welcome?.resume).toEqual({ session: true, recovered: true, replayed: 5, gaps: [] })
    })

    test('is told of what is no longer there', async () => {
      await using setting = await setUp(transport, {
        config: { rooms: [{ pattern: 'kept', history: { max_messages: 3, max_age: '1h' } }] },
      })
      const alice = setting.client({ user: 'alice' })
      const bob = setting.client({ user: 'bob' }, setting.direct)
      await Promise.all([alice.connect(), bob.connect()])
      await alice.join('kept')
      await bob.join('kept')
      const [heard, gaps] = [collect(alice, 'count'), collect(alice, 'gap')]
      await bob.publish({ room: 'kept' }, 'count', 'before')
      await until(() => heard.length === 1)
      const since = alice.cursor
      setting.proxy.set({ refuse: true })
      setting.proxy.cut()
      await until(() => alice.state !== 'open')
      for (const n of numbers(10)) await bob.publish({ room: 'kept' }, 'count', n)
      setting.proxy.heal()
      await until(() => heard.length === 4)
      expect(heard).toEqual(['before', 7, 8, 9])
      expect(gaps).toEqual([{ rooms: ['kept'], from: since, cursor: expect.any(String) }])
    })
  })

  describe('an inbox', () => {
    test('waits for each device of a user, and each gets it once', async () => {
      await using setting = await setUp(transport)
      const bob = setting.client({ user: 'bob' })
      await bob.connect()
      const phone = setting.client({ user: 'alice', device: 'phone' })
      const laptop = setting.client({ user: 'alice', device: 'laptop' })
      await Promise.all([phone.connect(), laptop.connect()])
      const onPhone = collect(phone, 'count')
      laptop.close()
      for (const n of numbers(3)) await bob.publish({ user_id: 'alice' }, 'count', n)
      await bob.publish({ user_id: 'alice', device_id: 'laptop' }, 'count', 'for the laptop')
      await until(() => onPhone.length === 3)
      phone.close()
      await bob.publish({ user_id: 'alice' }, 'count', 3)

      // Other programs on the same devices: they know nothing but who they are.
      const [phoneAgain, laptopAgain] = [
        setting.client({ user: 'alice', device: 'phone' }),
        setting.client({ user: 'alice', device: 'laptop' }),
      ]
      const [later, all] = [collect(phoneAgain, 'count'), collect(laptopAgain, 'count')]
      await Promise.all([phoneAgain.connect(), laptopAgain.connect()])
      await bob.publish({ user_id: 'alice' }, 'count', 'end')
      await until(() => later.includes('end') && all.includes('end'))
      expect(later).toEqual([3, 'end'])
      expect(all).toEqual([0, 1, 2, 'for the laptop', 3, 'end'])
    })

    test('keeps what a listener is not done with', async () => {
      await using setting = await setUp(transport)
      const bob = setting.client({ user: 'bob' })
      await bob.connect()
      const crashing = setting.client({ user: 'alice', device: 'phone' })
      const begun: unknown[] = []
      crashing.on('count', (n) => {
        begun.push(n)
        return n === 0 ? undefined : new Promise(() => {})
      })
      await crashing.connect()
      for (const n of numbers(3)) await bob.publish({ user_id: 'alice' }, 'count', n)
      await until(() => begun.length === 3)
      crashing.close()

      const next = setting.client({ user: 'alice', device: 'phone' })
      const heard = collect(next, 'count')
      await next.connect()
      await until(() => heard.length === 2)
      expect(heard).toEqual([1, 2])
    })

    test('says what it has dropped', async () => {
      await using setting = await setUp(transport, { config: { inbox: { max_messages: 2 } } })
      const bob = setting.client({ user: 'bob' })
      await bob.connect()
      const before = setting.client({ user: 'alice', device: 'phone' })
      await before.connect()
      before.close()
      for (const n of numbers(5)) await bob.publish({ user_id: 'alice' }, 'count', n)
      const alice = setting.client({ user: 'alice', device: 'phone' })
      const [heard, gaps] = [collect(alice, 'count'), collect(alice, 'gap')]
      await alice.connect()
      await until(() => heard.length === 2)
      expect(heard).toEqual([3, 4])
      expect(gaps).toEqual([{ from: expect.any(String), cursor: expect.any(String) }])
    })
  })

  describe('the next client of a device', () => {
    test('goes on from the cursor of the one before', async () => {
      await using setting = await setUp(transport)
      const bob = setting.client({ user: 'bob' })
      await bob.connect()
      await bob.join('kept')
      const first = setting.client({ user: 'alice', device: 'phone' })
      const seen = collect(first, 'count')
      await first.connect()
      await first.join('kept')
      await bob.publish({ room: 'kept' }, 'count', 0)
      await until(() => seen.length === 1)
      const { cursor } = first
      first.close()
      await bob.publish({ room: 'kept' }, 'count', 1)
      await bob.publish({ user_id: 'alice' }, 'count', 2)

      const next = setting.client({ user: 'alice', device: 'phone' }, { cursor: cursor ?? '' })
      const heard = collect(next, 'count')
      const joined = next.room('kept').join({ since: cursor ?? '' })
      await next.connect()
      expect(await joined).toMatchObject({ recovered: true })
      await until(() => heard.length === 2)
      expect(heard.sort()).toEqual([1, 2])
    })
  })

  describe('history', () => {
    test('comes before what is live when a room is joined, and is marked', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [setting.client({ user: 'alice' }), setting.client({ user: 'bob' })]
      await Promise.all([alice.connect(), bob.connect()])
      await bob.join('kept')
      for (const n of numbers(10)) await bob.publish({ room: 'kept' }, 'count', n)
      const heard: [unknown, boolean][] = []
      alice.room('kept').on('count', (n, { history }) => void heard.push([n, history]))
      const joining = alice.room('kept').join({ history: 3 })
      for (const n of numbers(20, 10)) await bob.publish({ room: 'kept' }, 'count', n)
      const { replayed } = await joining
      await until(() => heard.at(-1)?.[0] === 29)
      const first = heard[0]?.[0] as number
      expect(heard).toEqual(numbers(30 - first, first).map((n, at) => [n, at < replayed]))
    })

    test('is brought to a room that was joined before', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [setting.client({ user: 'alice' }), setting.client({ user: 'bob' })]
      await Promise.all([alice.connect(), bob.connect()])
      await bob.join('kept')
      for (const n of numbers(3)) await bob.publish({ room: 'kept' }, 'count', n)
      const heard = collect(alice, 'count')
      await alice.join('kept')
      await bob.publish({ room: 'kept' }, 'count', 3)
      await until(() => heard.length === 1)
      expect(await alice.room('kept').join({ history: 3 })).toEqual({ participantCount: 2, replayed: 3 })
      // What was heard live is not heard again.
      expect(heard).toEqual([3, 1, 2])
    })

    test('holds what one said oneself, and a replay does not bring it twice', async () => {
      await using setting = await setUp(transport)
      const [alice, bob] = [setting.client({ user: 'alice', device: 'phone' }), setting.client({ user: 'bob' })]
      await Promise.all([alice.connect(), bob.connect()])
      const said: Message[] = []
      alice.on('count', (_, message) => void said.push(message))
      const room = await alice.join('kept')
      const { id } = await room.publish('count', 'mine')
      await bob.join('kept')
      await bob.room('kept').publish('count', 'theirs')
      await until(() => said.length === 1)
      // Its position is before what it said: nothing came to it since.
      await room.join({ since: '1' })
      expect(said.map(({ payload, own }) => [payload, own])).toEqual([['theirs', false]])

      const other = setting.client({ user: 'alice', device: 'phone' })
      const history: Message[] = []
      other.on('count', (_, message) => void history.push(message))
      await other.connect()
      await other.join('kept', { history: 10 })
      expect(history.map(({ id: known, own, payload }) => [known === id, own, payload])).toEqual([
        [true, true, 'mine'],
        [false, false, 'theirs'],
      ])
    })
  })
})

restartContract('from source', [process.execPath, 'src/main.ts'])
