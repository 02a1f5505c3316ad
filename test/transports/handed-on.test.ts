/** Polls and frames that come to another instance than the one at which their session began. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Frame, TestServer, Who } from '../../src/testing/index.ts'
import { type PollResult, poll } from '../../src/testing/poll.ts'
import { type Cluster, startCluster } from '../contracts/cluster.ts'
import { names } from '../support/names.ts'
import { payloadOf, types } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

let cluster: Cluster
let home: TestServer
let other: TestServer

beforeAll(async () => {
  const rooms = [{ pattern: '*.lobby', history: { max_messages: 100 } }]
  cluster = await startCluster({ instances: 2, config: { rooms, limits: { per_user: 0 } } })
  ;[home, other] = cluster.servers as [TestServer, TestServer]
})
afterAll(() => cluster[Symbol.asyncDispose]())

/** A client that polls where a test says. */
class Poller {
  readonly token: string

  private constructor(token: string) {
    this.token = token
  }

  static async of(who: Who): Promise<Poller> {
    return new Poller(await home.token(who))
  }

  async poll(at: TestServer, query: Record<string, string> = {}, signal?: AbortSignal): Promise<PollResult> {
    const url = new URL('/realtime/poll', at.url)
    url.search = new URLSearchParams({ token: this.token, timeout: '10', ...query }).toString()
    const answer = await poll(url, undefined, signal)
    if (answer instanceof Response) throw new Error(`${answer.status}: ${await answer.text()}`)
    return answer
  }

  async send(at: TestServer, body: unknown): Promise<{ status: number; frame: Frame }> {
    const url = new URL(`/realtime/send?token=${this.token}`, at.url)
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
    return { status: response.status, frame: (await response.json()) as Frame }
  }
}

const goOn = ({ connection_id, cursor }: PollResult) => ({ connection_id, cursor })

describe('a session that polls', () => {
  test('has its polls held by its home, wherever they come to', async () => {
    const { alice, bob, lobby } = names()
    const poller = await Poller.of({ user: alice })
    const first = await poller.poll(home, { rooms: `${lobby}.lobby` })
    await using speaker = await other.connect({ user: bob, rooms: [`${lobby}.lobby`] })
    await poller.poll(home, goOn(first))
    const pending = poller.poll(other, goOn(first))
    await until(() => home.hub.registry.size === 1)
    await speaker.request({ type: 'chat', to: { room: `${lobby}.lobby` }, payload: 'stored' })
    await speaker.request({ type: 'wave', to: { user_id: alice }, payload: 'for now', ephemeral: true })
    const seen: Frame[] = []
    let last = await pending
    seen.push(...last.messages)
    while (!types(seen).includes('wave')) {
      last = await poller.poll(other, goOn(last))
      seen.push(...last.messages)
    }
    expect(last.connection_id).toBe(first.connection_id)
    expect(types(seen)).toEqual(['chat', 'wave'])
    // What was not acknowledged by its cursor comes again, by whichever instance.
    const again = await poller.poll(home, { ...goOn(first) })
    expect(types(again.messages)).toContain('chat')
    expect(other.hub.registry.get(first.connection_id)).toBeUndefined()
  })

  test('has the frames handled by its home that come to another instance, in their order', async () => {
    const { alice, bob, lobby } = names()
    const poller = await Poller.of({ user: alice })
    const { connection_id } = await poller.poll(home)
    await using member = await home.connect({ user: bob, rooms: [lobby] })
    const joined = await poller.send(other, { connection_id, type: 'join_room', id: 'j', payload: { room: lobby } })
    expect(joined).toMatchObject({ status: 200, frame: { type: 'ack', payload: { participant_count: 2 } } })
    const list = [1, 2, 3].map((n) => ({ connection_id, type: 'n', id: `n${n}`, to: { room: lobby }, payload: n }))
    const answers = await poller.send(other, list)
    expect(types(answers.frame as unknown as Frame[])).toEqual(['ack', 'ack', 'ack'])
    const heard: unknown[] = []
    while (heard.length < 3) heard.push((await member.next('n')).payload)
    expect(heard).toEqual([1, 2, 3])
    const refused = await poller.send(other, { connection_id, type: 'nobody_handles_it', id: 'x' })
    expect(refused).toMatchObject({ status: 404, frame: { error: { code: 'RT_005', correlation_id: 'x' } } })
  })

  test('carries bytes to its home and back', async () => {
    const { alice } = names()
    const poller = await Poller.of({ user: alice })
    const { connection_id } = await poller.poll(home)
    const payload = { $bin: 'AAEC' }
    const pong = await poller.send(other, { connection_id, type: 'ping', id: 'p', payload })
    expect(payloadOf(pong.frame)['echo']).toEqual(payload)
  })

  test('goes on elsewhere before it was written down how it receives', async () => {
    const { alice } = names()
    const poller = await Poller.of({ user: alice })
    const { directory } = home.hub.backend
    const { list } = directory
    directory.list = () => new Promise(() => {})
    try {
      const first = await poller.poll(home)
      const next = await poller.poll(other, { ...goOn(first), timeout: '0' })
      expect(next.connection_id).toBe(first.connection_id)
    } finally {
      directory.list = list
    }
  })

  test('is nobody else’s, at another instance neither', async () => {
    const { alice, bob } = names()
    const poller = await Poller.of({ user: alice })
    const first = await poller.poll(home)
    const thief = await Poller.of({ user: bob })
    expect(await thief.poll(other, goOn(first)).catch(String)).toContain('403')
    expect(await thief.send(other, { connection_id: first.connection_id, type: 'ping' })).toMatchObject({
      status: 403,
      frame: { error: { code: 'RT_003' } },
    })
  })

  test('is missed by its home when a client leaves that polls elsewhere', async () => {
    const { alice } = names()
    const poller = await Poller.of({ user: alice })
    const first = await poller.poll(home)
    const session = home.hub.registry.get(first.connection_id)
    const leaving = new AbortController()
    const pending = poller.poll(other, goOn(first), leaving.signal).catch(() => 'left')
    const before = session?.lastInbound
    await until(() => session?.lastInbound !== before)
    leaving.abort()
    expect(await pending).toBe('left')
    await until(async () => (await poller.poll(home, { ...goOn(first), timeout: '0' })).messages.length === 0)
  })

  test('goes on at another instance where its home is silent', async () => {
    const { alice, bob, lobby } = names()
    await using quiet = await startCluster({ instances: 2, redis: cluster.redis, config: { redis: { prefix: lobby } } })
    const [silent, adopting] = quiet.servers as [TestServer, TestServer]
    const poller = await Poller.of({ user: alice })
    const first = await poller.poll(silent, { rooms: lobby })
    await using watcher = await adopting.connect({ user: bob, rooms: [lobby] })
    for (const kind of ['errand', 'take_over']) silent.hub.peers.answer(kind, () => new Promise(() => {}))
    const adopted = await poller.poll(adopting, goOn(first))
    expect(adopted.connection_id).not.toBe(first.connection_id)
    expect(adopted.messages[0]).toMatchObject({
      type: 'welcome',
      payload: { rooms: [{ room: lobby, participant_count: 2 }], resume: { session: true } },
    })
    // For the others it has not been away.
    expect(types(await watcher.received())).toEqual([])
    const next = await poller.send(adopting, {
      connection_id: adopted.connection_id,
      type: 'chat',
      id: 'c',
      to: { room: lobby },
    })
    expect(next.frame.type).toBe('ack')
  })

  test('has a frame handled at another instance where its home is silent', async () => {
    const { alice, bob, lobby } = names()
    await using quiet = await startCluster({ instances: 3, redis: cluster.redis, config: { redis: { prefix: lobby } } })
    const [silent, adopting, third] = quiet.servers as [TestServer, TestServer, TestServer]
    const poller = await Poller.of({ user: alice })
    const { connection_id } = await poller.poll(silent, { rooms: lobby })
    await using watcher = await adopting.connect({ user: bob, rooms: [lobby] })
    for (const kind of ['errand', 'take_over']) silent.hub.peers.answer(kind, () => new Promise(() => {}))
    const sent = await poller.send(adopting, {
      connection_id,
      type: 'chat',
      id: 'c',
      to: { room: lobby },
      payload: 'hi',
    })
    expect(sent).toMatchObject({ status: 200, frame: { type: 'ack' } })
    expect(await watcher.next('chat')).toMatchObject({ payload: 'hi', sender: { user_id: alice } })
    // Nor was the second told that its connection had ended, wherever it came.
    for (const server of [adopting, third]) {
      const again = { connection_id, type: 'chat', id: server.url, to: { room: lobby }, payload: 'again' }
      expect(await poller.send(server, again)).toMatchObject({ status: 200, frame: { type: 'ack' } })
      expect(await watcher.next('chat')).toMatchObject({ payload: 'again' })
    }
    const thief = await Poller.of({ user: bob })
    expect(await thief.send(adopting, { connection_id, type: 'ping' })).toMatchObject({ status: 403 })
    // Its client does not know yet: it polls with the old name, and finds its rooms.
    const next = await poller.poll(adopting, { connection_id })
    expect(next.messages[0]).toMatchObject({ payload: { rooms: [{ room: lobby }], resume: { session: true } } })
    // Now it does.
    expect(await poller.send(adopting, { connection_id, type: 'ping' })).toMatchObject({ status: 404 })
  })
})

// The session went on from where it was adopted, and not from where its client was.
test('a client misses nothing whose frame had its session go on elsewhere', async () => {
  const { alice, lobby } = names()
  const room = `${lobby}.lobby`
  const config = { redis: { prefix: lobby }, rooms: [{ pattern: '*.lobby', history: { max_messages: 100 } }] }
  await using quiet = await startCluster({ instances: 2, redis: cluster.redis, config })
  const [silent, adopting] = quiet.servers as [TestServer, TestServer]
  const poller = await Poller.of({ user: alice })
  const first = await poller.poll(silent, { rooms: room })
  for (const kind of ['errand', 'take_over']) silent.hub.peers.answer(kind, () => new Promise(() => {}))
  await adopting.app.publish({ room }, 'chat', 'while nobody answered')
  const { connection_id } = first
  await poller.send(adopting, { connection_id, type: 'wave', id: 'w', to: { user_id: alice }, ephemeral: true })
  const next = await poller.poll(adopting, goOn(first))
  expect(types(next.messages)).toEqual(['welcome', 'chat'])
})

test('a frame for a stream of another instance is handled there', async () => {
  const { alice, lobby } = names()
  await using stream = await home.connect({ user: alice, transport: 'sse' })
  const connection_id = String(payloadOf(stream.welcome)['connection_id'])
  const poller = await Poller.of({ user: alice })
  await poller.send(other, { connection_id, type: 'join_room', id: 'j', payload: { room: lobby } })
  expect(home.hub.rooms.get(lobby)?.members.size).toBe(1)
})
