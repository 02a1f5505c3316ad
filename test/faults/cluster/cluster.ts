/** Compiled servers that are one deployment: a Redis of their own, and a network to it that can be broken for each. */
import type { ConfigInput } from '../../../src/config.ts'
import type { Who } from '../../../src/testing/tokens.ts'
import { FaultProxy } from '../../kit/fault-proxy.ts'
import { type RedisOptions, RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { FaultServer, newKeys } from '../server.ts'

export interface ClusterOptions {
  readonly config?: ConfigInput
  readonly redis?: RedisOptions
}

const INSTANCES = 3
/** Milliseconds within which a server that can store nothing says so to who asks whether it is ready. */
export const DEGRADED_WITHIN_MS = 10_000

/** Milliseconds within which an instance has read what it had missed: no promise, but an end to waiting. */
const CAUGHT_UP_WITHIN_MS = 60_000

/** One instance, and its way to Redis. */
export interface Member {
  readonly server: FaultServer
  readonly toRedis: FaultProxy
}

export class FaultCluster implements AsyncDisposable {
  readonly redis: RedisServer
  readonly members: readonly Member[]
  private readonly resources: AsyncDisposableStack
  private turn = 0

  private constructor(redis: RedisServer, members: readonly Member[], resources: AsyncDisposableStack) {
    this.redis = redis
    this.members = members
    this.resources = resources
  }

  static async start({ config, redis: options }: ClusterOptions = {}): Promise<FaultCluster> {
    await using resources = new AsyncDisposableStack()
    const redis = resources.use(await RedisServer.start(options))
    const keys = newKeys()
    const start = async (): Promise<Member> => {
      const toRedis = resources.use(await FaultProxy.start(redis.url))
      const url = toRedis.url.replace('http', 'redis')
      const server = resources.use(await FaultServer.start({ keys, config: { ...config, redis: { url } } }))
      return { server, toRedis }
    }
    const members = await Promise.all(Array.from({ length: INSTANCES }, start))
    return new FaultCluster(redis, members, resources.move())
  }

  get servers(): readonly FaultServer[] {
    return this.members.map(({ server }) => server)
  }

  /** The instance of this number; they are counted round. */
  at(n: number): Member {
    return this.members[n % this.members.length] as Member
  }

  /** The address of the next instance in turn, dead or alive: a balancer that knows nothing. */
  next(): string {
    return this.at(this.turn++).server.url
  }

  token(who: Who): Promise<string> {
    return this.at(0).server.token(who)
  }

  /** Resolves when these say that they are degraded; rejects where that takes them too long. */
  async degraded(servers: readonly FaultServer[] = this.servers): Promise<void> {
    await Promise.all(
      servers.map((server) => until(async () => (await server.readiness()) === 'degraded', DEGRADED_WITHIN_MS)),
    )
  }

  /** Resolves when all are ready: whoever was cut off has then read what it had missed, which may be a lot. */
  async ready(): Promise<void> {
    await Promise.all(
      this.servers.map((server) => until(async () => (await server.readiness()) === 'ready', CAUGHT_UP_WITHIN_MS)),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resources.disposeAsync()
  }
}
