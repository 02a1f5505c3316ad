import type { Case, Measured } from '../case.ts'
import type { Client } from '../client.ts'
import { clientFrame, MESSAGE, PONG } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'
import { pingFrame } from '../templates.ts'

const MEMBERS = 10_000
const BROADCAST_EVERY_MS = 250
const ECHO_CONNECTIONS = 20
/** Each connection asks at this pace whether it was answered or not: a stall is seen by all who would have waited. */
const PING_EVERY_MS = 20

/** The members and the broadcasts. */
async function run(load: Load): Promise<Measured> {
  await load.warmUp()
  const clients = await load.open(MEMBERS + 1, { rooms: () => ['bench'] })
  const [sender] = clients
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, 'bench', 1)
  let delivered = 0
  let bytes = 0
  let broadcasts = 0
  let startedAt = 0
  const last: number[] = []
  load.onFrame = (_, signature, size) => {
    if (signature !== MESSAGE) return
    bytes = size
    if (++delivered % MEMBERS === 0) last.push(performance.now() - startedAt)
  }

  await load.settle()
  const broadcast = (): void => {
    broadcasts++
    startedAt = performance.now()
    publisher.send(1)
  }
  const timer = setInterval(broadcast, BROADCAST_EVERY_MS)
  const echoes = await load.measure(() => load.assistant(), 'the echoes')
  clearInterval(timer)
  return { ...echoes, last_ms: last, broadcasts, frame_bytes: bytes }
}

/** The echoes, from a process of their own: the members' reading must not count as the server's delay. */
async function assist(load: Load): Promise<Measured> {
  const clients = await load.open(ECHO_CONNECTIONS)
  const ping = clientFrame(pingFrame())
  /** When each unanswered ping of a client went out, oldest first. */
  const asked = new Map<Client, number[]>(clients.map((client) => [client, []]))
  let samples: number[] = []
  load.onFrame = (client, signature) => {
    const sent = signature === PONG ? asked.get(client)?.shift() : undefined
    if (sent !== undefined) samples.push(performance.now() - sent)
  }
  const started = performance.now()
  let turn = 0
  const timer = setInterval(() => {
    // However late the timer is, each client keeps its pace, one after the other.
    const due = ((performance.now() - started) / PING_EVERY_MS) * clients.length
    for (; turn < due; turn++) {
      const client = clients[turn % clients.length]
      if (client === undefined) return
      asked.get(client)?.push(performance.now())
      client.write(ping)
    }
  }, 1)
  await load.until(Bun.sleep(load.size(2000, 1000)), 'warm-up')
  samples = []
  await load.until(Bun.sleep(load.size(8000, 3000)), 'echoes')
  clearInterval(timer)
  return { echo_ms: samples }
}

export const echoUnderBroadcast: Case = {
  name: 'echo-under-broadcast',
  title: 'echo while four messages a second go to 10,000 members',
  metrics: [
    { key: 'echo_ms', quantile: 0.5, title: 'round trip, p50', unit: 'ms', better: 'less' },
    { key: 'echo_ms', quantile: 0.95, title: 'round trip, p95', unit: 'ms', better: 'less', target: { ratio: 10 } },
    { key: 'echo_ms', quantile: 0.99, title: 'round trip, p99', unit: 'ms', better: 'less' },
    { key: 'last_ms', quantile: 0.5, title: 'broadcast to the last member, p50', unit: 'ms', better: 'less' },
  ],
  run,
  assist,
}
