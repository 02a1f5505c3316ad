/** From one transport to another and back, as what stands between client and server allows. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { ClientOptions, TidingsClient, TransportName } from 'tidings/client'
import { startTestServer, type Who } from '../../src/testing/index.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { clientsOf, collect, numbers } from '../support/clients.ts'
import { LeapingClock } from '../support/leaping-clock.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(60_000)

const KEEPS = { rooms: [{ pattern: 'kept*', history: { max_messages: 5000, max_age: '1h' as const } }] }
const UPGRADES = /^upgrade: websocket/im
const STREAMS = /^GET \/realtime\/sse/
/** Milliseconds until a client looks for WebSockets, and until it gives up a transport that brings no welcome. */
const CLIMB_MS = 30_000
const CONNECT_MS = 10_000

/** A server, and before it a proxy that clients of every transport go through. */
async function setUp() {
  const server = await startTestServer({ config: { ...KEEPS, limits: { per_user: 0, messages_per_second: 0 } } })
  const proxy = await FaultProxy.start(server.url)
  const clients = clientsOf(proxy.url, server.token)
  const transports: readonly TransportName[] = ['websocket', 'sse', 'poll']
  const clock = new LeapingClock()
  return {
    server,
    proxy,
    clock,
    client: (who: Who, options: ClientOptions = {}) =>
      clients.client(who, { transports, environment: { random: () => 0, clock }, ...options }),
    /** Not through the proxy. */
    direct: (who: Who) => clients.client(who, { url: `${server.url}/realtime` }),
    async [Symbol.asyncDispose]() {
      clients.closeAll()
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

type Setting = Awaited<ReturnType<typeof setUp>>

const isOn = (client: TidingsClient, transport: TransportName) => () => client.transport === transport

/** What stands between lets only event streams through, or only polls, or everything; the client finds out. */
async function forceTo(transport: TransportName, { proxy, clock }: Setting, client: TidingsClient): Promise<void> {
  if (transport === 'websocket') {
    proxy.heal()
    while (client.transport !== 'websocket') {
      // Not so far that what is under way, and is answered in a moment, would be given up.
      clock.leap(CONNECT_MS / 2)
      await client.publish({ user_id: 'nobody' }, 'tick', 0, { ephemeral: true })
    }
  } else {
    const before = proxy.gathered
    proxy.set({ forbid: UPGRADES, gather: transport === 'poll' ? STREAMS : undefined })
    proxy.cut()
    if (transport === 'poll') {
      // The welcome is there, and does not get through.
      await until(() => proxy.gathered > before)
      clock.leap(CONNECT_MS)
    }
  }
  await until(isOn(client, transport))
}

describe('where a proxy knows no upgrades', () => {
  test('a client goes on over an event stream', async () => {
    await using setting = await setUp()
    setting.proxy.set({ forbid: UPGRADES })
    const [alice, bob] = [setting.client({ user: 'alice' }), setting.direct({ user: 'bob' })]
    await Promise.all([alice.connect(), bob.connect()])
    expect(alice.transport).toBe('sse')
    await Promise.all([alice.join('lobby'), bob.join('lobby')])
    const heard = collect(bob, 'chat')
    await alice.room('lobby').publish('chat', 'hi')
    await until(() => heard.length === 1)
  })

  test('and gathers event streams, a client goes on with polls', async () => {
    await using setting = await setUp()
    setting.proxy.set({ forbid: UPGRADES, gather: STREAMS })
    const [alice, bob] = [setting.client({ user: 'alice' }), setting.direct({ user: 'bob' })]
    void alice.connect()
    await until(() => setting.proxy.gathered > 0)
    setting.clock.leap(CONNECT_MS)
    await Promise.all([alice.connect(), bob.connect()])
    expect(alice.transport).toBe('poll')
    await Promise.all([alice.join('lobby'), bob.join('lobby')])
    const heard = collect(alice, 'chat')
    await bob.room('lobby').publish('chat', 'hi')
    await until(() => heard.length === 1)
  })
})

describe('when the proxy has learned', () => {
  test.each(['sse', 'poll'] as const)('a client goes up from %s, with its rooms and its device', async (transport) => {
    await using setting = await setUp()
    const [alice, bob] = [setting.client({ user: 'alice' }), setting.direct({ user: 'bob' })]
    await Promise.all([alice.connect(), bob.connect()])
    await Promise.all([alice.join('lobby'), bob.join('lobby')])
    await forceTo(transport, setting, alice)
    const before = alice.welcome
    const errors = collect(alice, 'error')
    await forceTo('websocket', setting, alice)
    expect(alice.welcome).toMatchObject({ device_id: before?.device_id, resume: { session: true } })
    const heard = collect(alice, 'chat')
    await bob.room('lobby').publish('chat', 'hi')
    await until(() => heard.length === 1)
    expect(errors).toEqual([])
    expect([...setting.server.hub.registry.all()].filter(({ userId }) => userId === 'alice')).toHaveLength(1)
  })

  test.each(['sse', 'poll'] as const)('an answer that is awaited over %s is not given up for it', async (transport) => {
    await using setting = await setUp()
    const alice = setting.client({ user: 'alice' })
    await alice.connect()
    await forceTo(transport, setting, alice)
    setting.proxy.heal()
    setting.clock.leap(CLIMB_MS - 1000)
    // What carries the answer takes its time.
    setting.proxy.set({ delayMs: 200 })
    const answer = alice.room('lobby').join()
    setting.clock.leap(1000)
    expect((await answer).participantCount).toBe(1)
    setting.proxy.heal()
    await until(() => {
      setting.clock.leap(1000)
      return alice.transport === 'websocket'
    })
    expect(alice.room('lobby').participantCount).toBe(1)
  })
})

/** Says one number after the other, without waiting for answers, until it is ended. */
function talking(say: (n: number) => Promise<unknown>) {
  const said: Promise<unknown>[] = []
  const timer = setInterval(() => said.push(say(said.length)), 3)
  return {
    /** @returns how many were said, when all of them have been acknowledged. */
    async end(): Promise<number> {
      clearInterval(timer)
      await Promise.all(said)
      return said.length
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await Promise.allSettled(said)
    },
  }
}

/** Who listens and talks while the transport changes under it, and who listens to it. */
test('whatever the transport, everything comes once and in order, both ways, while it changes again and again', async () => {
  await using setting = await setUp()
  const alice = setting.client({ user: 'alice', device: 'phone' })
  const bob = setting.direct({ user: 'bob', device: 'desk' })
  await Promise.all([alice.connect(), bob.connect()])
  const places = [{ room: 'kept-a' }, { room: 'kept-b' }, { user_id: 'alice' }]
  await Promise.all(['kept-a', 'kept-b'].flatMap((room) => [alice.join(room), bob.join(room)]))
  const [heard, answered, gaps] = [collect(alice, 'count'), collect(bob, 'count'), collect(alice, 'gap')]

  await using bobs = talking((n) => bob.publish(places[n % 3] as { room: string }, 'count', n))
  await using alices = talking((n) => alice.publish({ user_id: 'bob' }, 'count', n, { timeoutMs: 10 * CLIMB_MS }))
  const route: TransportName[] = ['sse', 'poll', 'websocket', 'poll', 'websocket', 'sse', 'websocket']
  for (const transport of route) {
    await forceTo(transport, setting, alice)
    const reached = heard.length
    await until(() => heard.length > reached + 20)
  }
  const [said, told] = await Promise.all([bobs.end(), alices.end()])
  await until(() => heard.length >= said && answered.length >= told)
  expect(heard).toEqual(numbers(said))
  expect(answered).toEqual(numbers(told))
  expect(gaps).toEqual([])
})

const NETWORKS = [
  ['slow', { delayMs: 40 }],
  ['in single bytes', { pieceBytes: 1 }],
  ['cut off every 20,000 bytes', { cutAfterBytes: 20_000 }],
] as const

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  test.each(NETWORKS)('everything comes once and in order on a network that is %s', async (_, faults) => {
    await using setting = await setUp()
    const alice = setting.client({ user: 'alice' }, { transports: [transport] })
    const bob = setting.direct({ user: 'bob' })
    await Promise.all([alice.connect(), bob.connect()])
    await Promise.all([alice.join('kept'), bob.join('kept')])
    const heard = collect(alice, 'count')
    const answered = collect(bob, 'count')
    setting.proxy.set(faults)
    const places = [{ room: 'kept' }, { user_id: 'alice' }]
    await using bobs = talking((n) => bob.publish(places[n % 2] as { room: string }, 'count', n))
    await using alices = talking((n) => alice.publish({ user_id: 'bob' }, 'count', n))
    await until(() => heard.length >= 200 && answered.length >= 200)
    const [said, told] = await Promise.all([bobs.end(), alices.end()])
    await until(() => heard.length >= said && answered.length >= told)
    expect(heard).toEqual(numbers(said))
    expect(answered).toEqual(numbers(told))
  })

  test('everything comes in order though it is said faster than the server takes', async () => {
    await using server = await startTestServer({ config: { limits: { messages_per_second: 200, burst: 50 } } })
    const clients = clientsOf(server.url, server.token)
    const alice = clients.client({ user: 'alice' }, { transports: [transport] })
    const bob = clients.client({ user: 'bob' })
    await Promise.all([alice.connect(), bob.connect()])
    const heard = collect(bob, 'count')
    const states: string[] = []
    alice.onState(({ state }) => states.push(state))
    await Promise.all(numbers(300).map((n) => alice.publish({ user_id: 'bob' }, 'count', n)))
    await until(() => heard.length >= 300)
    expect(heard).toEqual(numbers(300))
    expect(states).toEqual([])
    clients.closeAll()
  })
})
