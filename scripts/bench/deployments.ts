/** What a case runs against: one server with a core of its own, or a cluster that shares all cores with its load. */

import { cpus } from 'node:os'
import type { Deployment, Endpoint, Side } from './case.ts'
import { type Server, startRedis, startTidings } from './processes.ts'
import { childrenOf, PINNED, SERVER_CORE } from './usage.ts'

export interface Running extends Deployment, AsyncDisposable {}

export async function alone(starting: Promise<Server>): Promise<Running> {
  const server = await starting
  return {
    servers: [server],
    redis: undefined,
    cores: PINNED ? [SERVER_CORE] : [],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** A form of Tidings. */
export function startSide(binary: string[], secret: string, side: Side): Promise<Running> {
  const { env = {}, flags = [], instances, workers } = side
  const command = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...binary]
  if (instances === undefined && workers === undefined) return alone(startTidings(command, secret, flags, SERVER_CORE))
  return startCluster(command, secret, side)
}

async function startCluster(command: string[], secret: string, side: Side): Promise<Running> {
  const { flags = [], instances = 1, workers, stranger = false } = side
  await using started = new AsyncDisposableStack()
  const redis = started.use(await startRedis())
  const shared = [`--redis.url=redis://127.0.0.1:${redis.port}`, ...flags]
  const servers: Endpoint[] = []
  for (let n = 0; n < instances; n++) {
    const args = workers === undefined ? shared : [`--workers=${workers}`, ...shared]
    const server = started.use(await startTidings(command, secret, args))
    servers.push(server)
    if (workers !== undefined) for (const pid of childrenOf(server.pid)) servers.push({ port: server.port, pid })
  }
  if (stranger) servers.push(started.use(await startTidings(command, secret, [...shared, '--redis.prefix=stranger'])))
  const all = started.move()
  // More processes are busy than there are cores: bound to one each, some would wait while another core is idle.
  return { servers, redis, cores: cpus().map((_, n) => n), [Symbol.asyncDispose]: () => all.disposeAsync() }
}
