/** Several servers on one Redis that clients meet in turn, as behind a load balancer without sticky sessions. */
import type { ConfigInput } from '../../src/config.ts'
import { bodyOf, newMark, type QueueingClient, type Welcome } from '../../src/testing/client.ts'
import { type ConnectOptions, startTestServer, type TestClient, type TestServer } from '../../src/testing/index.ts'
import { connect } from '../../src/testing/server.ts'
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
  const running = new Set<TestServer>()
  const settings = { ...config, redis: { url: own.url, ...config?.redis } }
  for (let n = 0; n < instances; n++) {
    const server = await startTestServer({ config: settings, ...(app && { app: app() }) })
    const { stop } = server
    running.add(server)
    servers.push(
      Object.assign(server, {
        connect: async (who: ConnectOptions) =>
          hearingAll(await connect(server.url, who, await server.token(who)), running),
        stop: (reason?: string) => {
          running.delete(server)
          return stop(reason)
        },
      }),
    )
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

/**
 * A client whose `received` has what any of the servers said before it was called. One server's answer does not prove
 * that what another one told has come; a mark from each of them does, as each one's word comes in order.
 */
function hearingAll(client: QueueingClient, servers: ReadonlySet<TestServer>): TestClient {
  const received = client.received.bind(client)
  const { user_id: userId, device_id: deviceId } = bodyOf<Welcome>(client.welcome)
  const markFrom = async ({ hub }: TestServer): Promise<void> => {
    const { type, payload } = newMark()
    await hub.publish({ to: { kind: 'device', userId, deviceId }, type, payload, ephemeral: true })
    await client.marked(payload.mark)
  }
  return Object.assign(client, {
    received: async () => {
      await Promise.all([...servers].map(markFrom))
      return received()
    },
  })
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
