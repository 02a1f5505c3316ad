import type { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Ws } from '../../support/ws-client.ts'
import { type Chance, type Fault, must, none, type Progress } from '../fault.ts'
import type { FaultServer } from '../server.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  /** Connects of one user at the same time, over all instances. */
  readonly connects: number
  readonly rounds: number
  /** Whether an instance dies with all of a user's connections: its lease has to run out. */
  readonly deaths: boolean
}

const LIMIT = 3
/** Close codes. */
const REPLACED = 4009
const HEARTBEAT_TIMEOUT = 4010
/** Milliseconds after which a dead instance's slots are free: the lease of 15 seconds, and a look that finds it over. */
const FREE_WITHIN_MS = 17_000
const POLICIES = ['reject', 'close_oldest'] as const
type Policy = (typeof POLICIES)[number]

export const limitRace: Fault<Size> = {
  number: 11,
  title:
    'a user connects everywhere at once, under both policies: as many stay as may, and slots of the dead become free',
  short: { connects: 30, rounds: 3, deaths: false },
  long: { connects: 200, rounds: 100, deaths: true },

  async run({ connects, rounds, deaths }, chance, progress) {
    const outcomes = []
    for (const policy of POLICIES) outcomes.push(await race(policy, { connects, rounds, deaths }, chance, progress))
    const [rejecting, closing] = outcomes
    return {
      rejected: rejecting?.refused ?? 0,
      closed_for_newer: closing?.closed ?? 0,
      free_after_ms: outcomes.map(({ freeMs }) => freeMs).join(', '),
    }
  },
}

async function race(policy: Policy, { connects, rounds, deaths }: Size, chance: Chance, progress: Progress) {
  await using cluster = await FaultCluster.start({ config: { limits: { per_user: LIMIT, per_user_policy: policy } } })
  const token = await cluster.token({ user: 'alice' })
  let [refused, closed] = [0, 0]
  for (let round = 0; round < rounds; round++) {
    progress(`${policy}, round ${round + 1} of ${rounds}`)
    const calls = Array.from({ length: connects }, (_, n) => new Call(cluster.at(n).server, token))
    await Promise.all(calls.map((call) => call.decided))
    const open = () => calls.filter(({ state }) => state === 'open')
    // Never more than may, once those who have lost their place know of it; and never fewer.
    await until(() => open().length <= LIMIT)
    await until(async () => (await countOf(cluster)) === open().length)
    // At the limit a server pings those who are silent: one that this process was too busy to answer has made room.
    const silent = calls.filter(({ code }) => code === HEARTBEAT_TIMEOUT).length
    must(open().length + silent >= LIMIT, `${open().length} of ${connects} connections stayed under ${policy}`)
    must(open().length <= LIMIT, `${open().length} connections stayed under ${policy}`)
    refused += calls.filter(({ state }) => state === 'refused').length
    closed += calls.filter(({ code }) => code === REPLACED).length
    // They leave in every way, and the next round begins before all of that is known everywhere.
    for (const call of open()) call.leave(chance.below(2) === 0)
    if (policy === 'reject' || round % 2 === 0) await until(async () => (await countOf(cluster)) === 0)
  }
  must(refused === 0 || policy === 'reject', `${refused} were refused though the oldest has to go`)
  must(closed === 0 || policy === 'close_oldest', `${closed} were closed though newer ones have to wait`)
  const freeMs = deaths ? await slotsOfTheDead(cluster, policy, token) : 0
  let left: string[] = []
  await until(async () => {
    left = await leftovers(cluster.redis)
    return left.length === 0
  }).catch(() => none('left in Redis', left))
  return { refused, closed, freeMs }
}

/** An instance that has all of a user's connections dies. @returns after how many milliseconds all slots were free. */
async function slotsOfTheDead(cluster: FaultCluster, policy: Policy, token: string): Promise<number> {
  const [victim, survivor] = cluster.servers as [FaultServer, FaultServer]
  const before = Array.from({ length: LIMIT }, () => new Call(victim, token))
  await Promise.all(before.map((call) => call.decided))
  await until(async () => (await countOf(cluster)) === LIMIT)
  await victim.kill()
  const killed = performance.now()
  const soon = new Call(survivor, token)
  await soon.decided
  const expected = policy === 'reject' ? 'refused' : 'open'
  must(soon.state === expected, `right after the death of an instance a connection was ${soon.state} under ${policy}`)
  soon.leave(true)
  await until(async () => (await countOf(cluster, survivor)) === 0, FREE_WITHIN_MS)
  const freeMs = Math.round(performance.now() - killed)
  const after = Array.from({ length: LIMIT }, (_, n) => new Call(cluster.at(1 + (n % 2)).server, token))
  await Promise.all(after.map((call) => call.decided))
  must(
    after.every(({ state }) => state === 'open'),
    'slots of a dead instance are not free',
  )
  for (const call of after) call.leave(true)
  await until(async () => (await countOf(cluster, survivor)) === 0)
  return freeMs
}

/** The user's connections, as any instance counts them. */
async function countOf(cluster: FaultCluster, server = cluster.at(0).server): Promise<number> {
  const response = await server.admin('/realtime/users/alice')
  return Number(((await response.json()) as { connections: number }).connections)
}

/** What Redis still has of connections: with nobody there nothing, but what ends by itself, as the mark of who has lost his place. */
async function leftovers({ admin }: RedisServer): Promise<string[]> {
  const keys = await admin.keys('*')
  const ours = keys.filter((key) => /^tidings:\d+:(?:[acdmou]:.*|connections|users|rooms)$/.test(key))
  const endings = await Promise.all(ours.map((key) => admin.pttl(key)))
  return ours.filter((_, n) => endings[n] === -1)
}

/** One try to connect. */
class Call {
  state: 'calling' | 'open' | 'refused' | 'closed' | 'left' = 'calling'
  /** Why it was closed after it had been open. */
  code: number | undefined
  /** Resolves when it is open or refused. */
  readonly decided: Promise<void>
  private readonly socket: InstanceType<typeof Ws>

  constructor(server: FaultServer, token: string) {
    this.socket = new Ws(`${server.url.replace('http', 'ws')}/realtime?token=${token}`, { perMessageDeflate: false })
    this.decided = new Promise((resolve) => {
      const change = (state: 'open' | 'refused' | 'closed') => {
        if (this.state !== 'left') this.state = state
        resolve()
      }
      this.socket.on('message', () => {
        if (this.state === 'calling') change('open')
      })
      this.socket.on('error', () => change('refused'))
      this.socket.on('close', (code: number) => {
        if (this.state === 'open') this.code = code
        change(this.state === 'open' ? 'closed' : 'refused')
      })
    })
  }

  leave(inPeace: boolean): void {
    this.state = 'left'
    if (inPeace) this.socket.close(1000)
    else this.socket.terminate()
  }
}
