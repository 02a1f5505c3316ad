import type { Frame } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'
import { Application, holds, Ledger } from './accounting.ts'
import { type Chance, type Fault, must, percentile } from './fault.ts'
import { Hearing, TRANSPORTS, type Transport } from './hearing.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly devices: number
  /** Changes of transport of each device. */
  readonly hops: number
  readonly perSecond: number
  /** Rounds of two polls of one session at the same time. */
  readonly parallel: number
  /** How often the server is killed and started again, afterwards. */
  readonly kills: number
}

export const acrossTransports: Fault<Size> = {
  number: 7,
  title: 'one cursor carries a device from transport to transport; two polls of one session share the messages',
  short: { devices: 6, hops: 12, perSecond: 300, parallel: 60, kills: 2 },
  long: { devices: 40, hops: 100, perSecond: 1000, parallel: 2000, kills: 20 },

  async run({ devices, hops, perSecond, parallel, kills }, chance) {
    await using server = await FaultServer.start()
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const token = await server.token({ user: 'publisher', device: 'p', roles: ['admin'] })
    const publisher = new Publisher({ name: 'p', url: () => server.url, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()
    const stop = new AbortController()
    const users = Array.from({ length: devices }, (_, n) => `u${n}`)
    const topics = ['room:a', 'room:b', 'room:c', ...users.map((user) => `user:${user}`), 'user:twice']

    const travellers = await Promise.all(
      users.map(async (user) => new Traveller(server, user, await server.token({ user, device: 'd' }), chance)),
    )
    await Promise.all(travellers.map((traveller) => traveller.hop('websocket')))
    const publishing = publisher.run(topics, perSecond, stop.signal)
    const [answers] = await Promise.all([
      pollTwice(server, parallel, chance),
      ...travellers.map(async (traveller) => {
        for (let n = 0; n < hops; n++) await traveller.hop(chance.pick(TRANSPORTS))
      }),
    ])
    let killing = kills
    await Promise.all([
      (async () => {
        for (; killing > 0; killing--) {
          await Bun.sleep(chance.below(400))
          await server.kill()
          await server.start()
        }
      })(),
      ...travellers.map(async (traveller) => {
        while (killing > 0) await traveller.hop(chance.pick(TRANSPORTS))
      }),
    ])
    stop.abort()
    await publishing
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    for (const traveller of travellers) cleanup.defer(() => traveller.stop())
    await Promise.all(travellers.map((traveller) => traveller.hop('poll')))
    await until(() => travellers.every(({ app }) => app.position >= last))

    const apps = travellers.map(({ app }) => app)
    holds(ledger, apps)
    const twice = new Application('twice')
    for (const key of answers) {
      const attempt = ledger.get(key)
      must(attempt !== undefined, `nobody published ${key}`)
      twice.take({ key, topic: 'user:twice', cursor: attempt.cursor, id: attempt.id })
    }
    must(twice.duplicates === 0, `${twice.duplicates} messages came to both of two polls`)
    const expected = [...ledger.all()].filter(({ topic, cursor }) => topic === 'user:twice' && cursor <= twice.position)
    must(twice.got.length === expected.length, `two polls got ${twice.got.length} of ${expected.length} messages`)
    const welcomeMs = travellers.flatMap((traveller) => traveller.welcomeMs)
    return {
      published: ledger.count('ok'),
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
      hops: welcomeMs.length,
      again_on_the_wire: apps.reduce((sum, { duplicates }) => sum + duplicates, 0),
      to_two_polls: twice.got.length,
      welcome_p99_ms: percentile(welcomeMs, 99),
    }
  },
}

/** A device that keeps one cursor and takes it from transport to transport. */
class Traveller {
  readonly app: Application
  readonly welcomeMs: number[] = []
  private readonly server: FaultServer
  private readonly user: string
  private readonly token: string
  private readonly chance: Chance
  private hearing: Hearing | undefined
  private hops = 0

  constructor(server: FaultServer, user: string, token: string, chance: Chance) {
    this.server = server
    this.user = user
    this.token = token
    this.chance = chance
    this.app = new Application(user)
  }

  /** Leaves what it is connected by and goes on by another; now and then it takes over the former connection's rooms. */
  async hop(transport: Transport): Promise<void> {
    const former = this.hearing
    // Sometimes the former connection stays open, unread, until the new one is there.
    if (this.chance.below(2) === 0) former?.cut()
    let takesOver = this.chance.below(2) === 0
    await until(async () => {
      const outcome = await this.attempt(transport, former, takesOver)
      // A server that was started again has forgotten the connection: the rooms are named, from the same cursor.
      takesOver = false
      return outcome === 'there'
    })
    former?.cut()
    this.app.expect(`user:${this.user}`, 0)
    await Bun.sleep(this.chance.below(120))
  }

  private async attempt(
    transport: Transport,
    former: Hearing | undefined,
    takesOver: boolean,
  ): Promise<'there' | 'refused' | 'forgotten'> {
    const { app, chance, token } = this
    const byHeader = transport === 'sse' && chance.below(2) === 0
    const position = String(app.position)
    const hop = ++this.hops
    const isCurrent = () => hop === this.hops
    const began = performance.now()
    const early: (() => void)[] = []
    let counts = false
    /** What a connection says that turns out to have lost its rooms does not count. */
    const when = (take: () => void): void => {
      if (!isCurrent()) return
      if (counts) take()
      else early.push(take)
    }
    const hearing = await Hearing.open(transport, {
      url: this.server.url,
      token,
      query: {
        ...(takesOver && former !== undefined ? { resume: former.connectionId } : { rooms: 'a,b,c' }),
        ...(former !== undefined && !byHeader && { cursor: position }),
      },
      ...(former !== undefined && byHeader && { lastEventId: position }),
      holdS: 2,
      pauseMs: () => chance.below(20),
      onPosition: (moved) => when(() => app.moveTo(moved)),
      onFrame: (frame, moved) => when(() => this.take(frame, moved, former === undefined)),
    }).catch(() => undefined)
    if (hearing === undefined) return 'refused'
    const { resume, rooms } = hearing.welcome
    if (takesOver && !resume.session && rooms.length === 0) {
      hearing.cut()
      return 'forgotten'
    }
    this.welcomeMs.push(performance.now() - began)
    must(former === undefined || resume.recovered, `${this.user}: ${JSON.stringify(resume)} by ${transport}`)
    must(rooms.length === 3, `${this.user}: ${rooms.length} rooms, resumed ${resume.session}, by ${transport}`)
    for (const { room, cursor } of rooms) app.expect(`room:${room}`, Number(cursor))
    this.hearing = hearing
    counts = true
    for (const take of early) take()
    return 'there'
  }

  private take(frame: Frame, moved: number | undefined, isFirst: boolean): void {
    const { app } = this
    const { key } = (frame.payload ?? {}) as { key?: string }
    if (key === undefined) {
      if (frame.type !== 'welcome' || isFirst) app.moveTo(moved ?? 0)
      return
    }
    const topic = frame.room === undefined ? `user:${this.user}` : `room:${frame.room}`
    app.take({ key, topic, cursor: Number(frame.cursor), id: frame.id ?? '' })
  }

  stop(): void {
    this.hearing?.cut()
  }
}

/** Polls one session twice at once, over and over. @returns the keys of what came, in the order of its positions. */
async function pollTwice(server: FaultServer, rounds: number, chance: Chance): Promise<string[]> {
  const token = await server.token({ user: 'twice', device: 'd' })
  interface Answer {
    readonly connection_id: string
    readonly cursor: string
    readonly messages: readonly { readonly payload?: { readonly key?: string }; readonly cursor?: string }[]
  }
  const poll = async (more: Readonly<Record<string, string>>): Promise<Answer> => {
    const query = new URLSearchParams({ token, timeout: '1', ...more })
    const response = await fetch(`${server.url}/realtime/poll?${query}`)
    const answer = (await response.json()) as Answer
    must(response.ok, `a poll was answered with ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
  const keys: string[] = []
  const keep = ({ messages }: Answer) => {
    for (const { payload } of messages) if (payload?.key !== undefined) keys.push(payload.key)
  }
  const first = await poll({})
  keep(first)
  let { cursor } = first
  for (let round = 0; round < rounds; round++) {
    const where = { connection_id: first.connection_id, cursor }
    const older = poll(where)
    await Bun.sleep(chance.below(10))
    const both = await Promise.all([older, poll(where)])
    for (const answer of both) must(answer.connection_id === first.connection_id, 'a poll opened another session')
    // What came by both came from the same position: a client takes the first, and goes on from the further one.
    const [one, other] = both
    if (Number(one.cursor) >= Number(other.cursor)) keep(one)
    else keep(other)
    cursor = Number(one.cursor) >= Number(other.cursor) ? one.cursor : other.cursor
  }
  return keys
}
