/** Several servers on one Redis that clients meet in turn, as behind a load balancer without sticky sessions. */
import type { ConfigInput } from '../../src/config.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import type { Tidings } from '../../src/tidings.ts'
import { RedisServer } from '../kit/redis.ts'
import app from './app.ts'
import { type Axes, type Driver, seen } from './driver.ts'

const INSTANCES = 3

export interface Cluster extends AsyncDisposable {
  readonly redis: RedisServer
  readonly servers: readonly TestServer[]
  /** The next server in turn. */
  next(): TestServer
}

export interface ClusterOptions {
  readonly config?: ConfigInput
  readonly instances?: number
  /** Makes each server's application. */
  readonly app?: () => Tidings
  /** The Redis to share; absent: one of its own, stopped with it. */
  readonly redis?: RedisServer
}

export async function startCluster({
  config,
  instances = INSTANCES,
  app,
  redis,
}: ClusterOptions = {}): Promise<Cluster> {
  const own = redis ?? (await RedisServer.start())
  const servers: TestServer[] = []
  const settings = { ...config, redis: { url: own.url, ...config?.redis } }
  for (let n = 0; n < instances; n++) {
    servers.push(await startTestServer({ config: settings, ...(app && { app: app() }) }))
  }
  let turn = 0
  return {
    redis: own,
    servers,
    next: () => servers[turn++ % servers.length] as TestServer,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.stop()))
      if (redis === undefined) await own[Symbol.asyncDispose]()
    },
  }
}

/** Each client meets another of three servers. */
export function clusterDriver(axes: Axes): Driver {
  return {
    name: `three instances on Redis, ${axes.transport ?? 'websocket'}, ${axes.format}, ${axes.envelope}`,
    transport: axes.transport ?? 'websocket',
    format: axes.format,
    async start(config) {
      const cluster = await startCluster({ config: { ...config, poll: { grace_ms: 1000 } }, app: () => app })
      const [first] = cluster.servers
      if (first === undefined) throw new Error('there is no server')
      return {
        url: first.url,
        token: first.token,
        logged: (event, fields) => Promise.race(cluster.servers.map((server) => server.logged(event, fields))),
        connect: async (options) => seen(await cluster.next().connect({ ...axes, ...options }), axes),
        [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
      }
    },
  }
}
