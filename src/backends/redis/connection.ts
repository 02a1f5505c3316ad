/**
 * One connection to Redis, used until it breaks and then replaced by another: so a command's outcome is known, or it is
 * known that it is not known. The client's own reconnecting would send again what had timed out, in an order of its own.
 */
import type { Redis, RedisOptions } from 'ioredis'
import { BackendError } from './backend-error.ts'
import { isForbidden, messageOf, refusalOf } from './failures.ts'
import { GatheringRedis } from './gathering-redis.ts'
import { Liveness } from './liveness.ts'

/** Milliseconds for a connection to be there, its greeting included. */
const CONNECT_TIMEOUT_MS = 2000
/** Milliseconds between two looks at a Redis that is reading its data. */
const LOADING_LOOK_MS = 100

/** Which server is at the other end. */
export interface Server {
  /** New with every start of the process. */
  readonly runId: string
  /** The run, and the history that its data belongs to: another one after a failover too. */
  readonly run: string
}

export class Connection {
  readonly redis: Redis
  readonly server: Server
  private readonly onClosed: (reason: string) => void
  private readonly liveness: Liveness
  private ended = false

  private constructor(redis: Redis, server: Server, onClosed: (reason: string) => void) {
    this.redis = redis
    this.server = server
    this.onClosed = onClosed
    this.liveness = new Liveness(redis, (reason) => this.end(reason))
  }

  /**
   * Connects.
   * @param onClosed called once, when it has broken or was ended.
   * @throws Error why it could not connect; a BackendError where trying again is of no use.
   */
  static async open(options: RedisOptions, name: string, onClosed: (reason: string) => void): Promise<Connection> {
    let lastError: unknown = 'the connection was closed'
    const redis = new GatheringRedis({ ...options, ...SINGLE_USE, connectionName: name, replyMapping: 'legacy' })
    redis.on('error', (error) => {
      lastError = error
    })
    const giveUp = (reason: string): void => {
      lastError = new Error(reason)
      cut(redis)
    }
    const timeout = setTimeout(() => giveUp('it does not answer'), CONNECT_TIMEOUT_MS)
    let liveness: Liveness | undefined
    try {
      await redis.connect()
      clearTimeout(timeout)
      liveness = new Liveness(redis, giveUp)
      const server = await look(redis)
      liveness.stop()
      const connection = new Connection(redis, server, onClosed)
      redis.on('end', () => connection.end(messageOf(lastError)))
      if (redis.status === 'end') throw lastError
      return connection
    } catch (error) {
      clearTimeout(timeout)
      liveness?.stop()
      cut(redis)
      if (error instanceof BackendError) throw error
      const cause = messageOf(error) === 'Connection is closed.' ? lastError : error
      if (isForbidden(cause)) throw new BackendError(`${refusalOf(cause)}.`, { cause })
      throw new Error(refusalOf(cause) ?? messageOf(cause), { cause })
    }
  }

  /** Asks the server again who it is: a replica that became the primary goes on under another history. */
  async look(): Promise<Server> {
    return await look(this.redis)
  }

  /** Ends it: what is pending fails. */
  end(reason: string): void {
    if (this.ended) return
    this.ended = true
    this.liveness.stop()
    cut(this.redis)
    this.onClosed(reason)
  }
}

/** Broken is broken: pending commands fail at once, and whoever sent them decides what to do. */
const SINGLE_USE: RedisOptions = {
  lazyConnect: true,
  disableClientInfo: true,
  connectTimeout: CONNECT_TIMEOUT_MS,
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  // It waits for a second where Redis is loading; `look` asks more often.
  enableReadyCheck: false,
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
}

function cut(redis: Redis): void {
  redis.disconnect()
  // A frozen server would not answer a goodbye, and until it does what is pending would wait.
  redis.stream?.destroy()
}

async function look(redis: Redis): Promise<Server> {
  for (;;) {
    const info = parseInfo(await redis.info())
    // As Redis names it, and as Valkey does.
    if ([info['redis_mode'], info['server_mode']].includes('cluster')) throw new BackendError(NO_CLUSTER)
    const version = info['redis_version'] ?? '0'
    if (Number.parseInt(version, 10) < MIN_MAJOR)
      throw new BackendError(`Redis is ${version}; the server needs 7.0 or newer.`)
    if (info['loading'] === '1') {
      await new Promise((resolve) => setTimeout(resolve, LOADING_LOOK_MS))
      continue
    }
    // It would answer, and refuse every write; and what it becomes is told by another history, which is read here.
    if (info['role'] === 'slave') throw new Error(REPLICA)
    const runId = info['run_id'] ?? ''
    return { runId, run: `${runId}:${info['master_replid'] ?? ''}` }
  }
}

const REPLICA = 'Redis is a replica and takes no writes: name its primary in redis.url'

/** Redis 7 gave `SET` its `NX` together with `GET`. Valkey names the version that it is compatible with. */
const MIN_MAJOR = 7

const NO_CLUSTER =
  'redis.url leads to a Redis Cluster. All messages have one order, which one primary gives; a cluster has several. ' +
  'Name a standalone Redis, or one with replicas and sentinels (redis+sentinel://).'

function parseInfo(text: string): Record<string, string> {
  const info: Record<string, string> = {}
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) info[line.slice(0, colon)] = line.slice(colon + 1)
  }
  return info
}
