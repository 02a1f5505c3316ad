import { RedisServer } from '../../kit/redis.ts'
import { payloadOf } from '../../support/payload.ts'
import { until } from '../../support/until.ts'
import { type Fault, must, none, type Progress } from '../fault.ts'
import { Hearing } from '../hearing.ts'
import type { FaultServer } from '../server.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  /** Each has a connection at every instance. */
  readonly tokens: number
  /** Whether the instance is cut off for so long that the others count it as gone. */
  readonly gone: boolean
}

interface Revocable {
  readonly jti: string
  readonly token: string
  /** One at each instance. */
  readonly hearings: readonly Hearing[]
}

/** The lease of an instance, and a look of the others that finds it over. */
const GONE_WITHIN_MS = 30_000
/** Milliseconds in which what is not promised to the second has to happen. */
const PATIENCE_MS = 30_000
const KEPT_IN = 'tidings:1:revoked'

export const revoked: Fault<Size> = {
  number: 8,
  title:
    'tokens are revoked while an instance is cut off, and a replica takes over that knows nothing of it: their connections end, and nobody comes in by them any more',
  short: { tokens: 3, gone: false },
  long: { tokens: 100, gone: true },

  async run(size, _chance, progress) {
    const [alone, failingOver] = await Promise.all([
      part({ ...size, failsOver: false }, progress),
      part({ ...size, failsOver: true }, progress),
    ])
    return { cut_off: alone, cut_off_in_a_failover: failingOver }
  },
}

/** @returns what was seen, in words. */
async function part(
  { tokens, gone, failsOver }: Size & { readonly failsOver: boolean },
  progress: Progress,
): Promise<string> {
  await using cluster = await FaultCluster.start({ config: { poll: { grace_ms: 1000 } } })
  await using replica = await RedisServer.start({ replicaOf: cluster.redis })
  await using cleanup = new AsyncDisposableStack()
  const [first, , lost] = cluster.servers as [FaultServer, FaultServer, FaultServer]
  const all: Revocable[] = []
  for (let n = 0; n < tokens; n++) {
    const each = await connect(cluster, `u${n}`)
    for (const hearing of each.hearings) cleanup.defer(() => hearing.cut())
    all.push(each)
  }
  const at = (server: FaultServer) => all.map(({ hearings }) => hearings[cluster.servers.indexOf(server)] as Hearing)
  await until(async () => (await cluster.redis.admin.info('replication')).includes('state=online'))

  const toLost = cluster.at(2).toRedis
  toLost.set({ blackHole: 'both' })
  if (failsOver) await replica.admin.replicaof('NO', 'ONE')
  progress('revoking while an instance is cut off')
  const answers = await Promise.all(all.map(({ jti }) => revoke(first, jti)))
  none(
    'revoked, it was said, though an instance could not be asked',
    answers.filter((status) => status !== 503).map((status) => `answered with ${status}`),
  )
  const others = cluster.servers.filter((server) => server !== lost)
  await until(() => others.flatMap(at).every(({ ended }) => ended))
  if (gone) {
    progress('revoking until the instance is counted as gone')
    const last = all.at(-1) as Revocable
    await until(async () => (await revoke(first, last.jti)) === 200, GONE_WITHIN_MS)
  }
  const stayed = at(lost).filter(({ ended }) => !ended).length

  // From here on until the end, at every instance and whatever state that is in.
  const knocking = new AbortController()
  cleanup.defer(() => knocking.abort())
  const knocks = cluster.servers.map((server) => knock(server, all, knocking.signal))
  if (failsOver) {
    progress('a replica without the revocations takes over')
    for (const { toRedis } of cluster.members) {
      toRedis.aim(replica.url)
      toRedis.cut()
    }
    await until(async () => (await missingIn(replica, all)) === 0, PATIENCE_MS)
  }
  progress('healed')
  toLost.heal()
  const healed = performance.now()
  await until(() => at(lost).every(({ ended }) => ended), PATIENCE_MS)
  const endedMs = Math.round(performance.now() - healed)
  await cluster.ready()
  // One that starts now knows only what is kept.
  await lost.kill()
  await lost.start()
  for (const server of cluster.servers) {
    for (const { token } of all) {
      const status = await enter(server, token)
      must(status === 401, `a revoked token was answered with ${status}`)
    }
  }
  knocking.abort()
  const seen = (await Promise.all(knocks)).flat()
  // Nobody listens while it is started again (0), and it cannot say while it is cut off (503).
  none(
    'not refused',
    seen.filter((status) => ![0, 401, 503].includes(status)).map((status) => `answered with ${status}`),
  )
  none(
    'ended without being told why',
    all
      .flatMap(({ hearings }) => hearings)
      .map(({ frames }) => frames.at(-1))
      .filter((frame) => frame?.type !== 'error' || payloadOf(frame)['error_code'] !== 'token_revoked')
      .map((frame) => JSON.stringify(frame)),
  )
  return `${stayed} stayed meanwhile, ended within ${endedMs} ms of its return, ${seen.filter((status) => status === 401).length} tries refused`
}

async function connect(cluster: FaultCluster, user: string): Promise<Revocable> {
  const jti = `jti-of-${user}`
  const token = await cluster.token({ user, claims: { jti } })
  const open = ({ url }: FaultServer) => Hearing.open('websocket', { url, token, query: { rooms: 'lobby' } })
  return { jti, token, hearings: await Promise.all(cluster.servers.map(open)) }
}

async function revoke(server: FaultServer, jti: string): Promise<number> {
  return (await server.admin('/realtime/tokens/revoke', { method: 'POST', body: { jti } })).status
}

/** Tries the tokens one after the other until the signal. @returns how each try was answered; 0: not at all. */
async function knock(server: FaultServer, all: readonly Revocable[], signal: AbortSignal): Promise<number[]> {
  const seen: number[] = []
  for (let n = 0; !signal.aborted; n++) {
    const { token } = all[n % all.length] as Revocable
    seen.push(await enter(server, token).catch(() => 0))
    await Bun.sleep(10)
  }
  return seen
}

async function enter(server: FaultServer, token: string): Promise<number> {
  return (await fetch(`${server.url}/realtime/poll?${new URLSearchParams({ token, timeout: '0' })}`)).status
}

async function missingIn({ admin }: RedisServer, all: readonly Revocable[]): Promise<number> {
  const kept = await admin.hmget(KEPT_IN, ...all.map(({ jti }) => `t:${jti}`))
  return kept.filter((value) => value === null).length
}
