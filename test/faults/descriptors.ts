import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { RawSocket, requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { type Fault, must, Skipped } from './fault.ts'
import { Hearing } from './hearing.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Files that the server may have open. */
  readonly descriptors: number
  /** Milliseconds for which all of them are taken. */
  readonly holdMs: number
}

/** Ticks of the processor's time in a second, as Linux counts them. */
const TICKS_PER_SECOND = 100

export const descriptors: Fault<Size> = {
  number: 17,
  title: 'a server whose file descriptors are all taken says so, serves who is there, and recovers',
  short: { descriptors: 256, holdMs: 1000 },
  long: { descriptors: 1024, holdMs: 10_000 },

  async run({ descriptors, holdMs }) {
    if (process.platform !== 'linux') throw new Skipped('Linux is needed to see what a process holds')
    const under = ['sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh']
    const refused = await byLimit(under, descriptors)
    const { busy, slowest } = await byExhaustion(under, descriptors, holdMs)
    return { descriptors, refused_with_503: refused, busy_percent: busy, slowest_ping_ms: slowest }
  },
}

/** The default limit leaves some for everything else: whoever is one too many is told to come back later. */
async function byLimit(under: readonly string[], limit: number): Promise<number> {
  await using server = await FaultServer.start({ under })
  await using cleanup = new AsyncDisposableStack()
  const token = await server.token({ user: 'u' })
  let refused = 0
  for (let n = 0; n < limit; n++) {
    const raw = await RawSocket.open(server.url)
    cleanup.defer(() => raw.reset())
    raw.write(requestHead(`/realtime?token=${token}`))
    const { status, headers } = await raw.head()
    if (status === 101) continue
    must(status === 503 && headers.has('retry-after'), `one too many was answered with ${status}`)
    raw.reset()
    refused++
  }
  must(refused > 0, `${limit} connections fit into ${limit} descriptors`)
  must((await server.status()).connections + refused === limit, 'some were neither let in nor refused')
  return refused
}

/**
 * Without that limit the descriptors run out. The runtime goes on asking for connections that it cannot take, which keeps
 * its thread busy: whoever is there must not feel it.
 * @returns how busy the server was meanwhile, in percent of one core, and the slowest answer to who was there.
 */
async function byExhaustion(
  under: readonly string[],
  limit: number,
  holdMs: number,
): Promise<{ busy: number; slowest: number }> {
  await using server = await FaultServer.start({ under, config: { limits: { total: 0 } } })
  const token = await server.token({ user: 'stays' })
  const stays = await Hearing.open('websocket', { url: server.url, token })
  const { hostname, port } = new URL(server.url)
  const sockets: Socket[] = []
  for (let n = 0; n < limit + 50; n++) {
    const socket = connect({ host: hostname, port: Number(port) })
    socket.on('error', () => {})
    sockets.push(socket)
  }
  await until(() => server.descriptors() >= limit - 2)
  const before = ticksOf(server.pid)
  const began = performance.now()
  let slowest = 0
  // Who is connected goes on.
  while (performance.now() - began < holdMs) {
    const asked = performance.now()
    must((await stays.ask({ type: 'ping' })).type === 'pong', 'a connection that was there is not served')
    slowest = Math.max(slowest, performance.now() - asked)
    await Bun.sleep(50)
  }
  const busy = ((ticksOf(server.pid) - before) / TICKS_PER_SECOND / ((performance.now() - began) / 1000)) * 100
  for (const socket of sockets) socket.destroy()
  await until(() => server.descriptors() < limit / 2)
  const late = await Hearing.open('websocket', { url: server.url, token: await server.token({ user: 'late' }) })
  late.cut()
  stays.cut()
  return { busy: Math.round(busy), slowest: Math.round(slowest) }
}

/** The processor's time that a process has used. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}
