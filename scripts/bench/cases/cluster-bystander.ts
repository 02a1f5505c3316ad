import type { Case, Endpoint, Measured } from '../case.ts'
import { ACK } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'
import { bytesReceived } from '../sockets.ts'
import { processorMs } from '../usage.ts'

/** Every second room keeps what is said in it. */
const RULES =
  '--rooms=[{"pattern":"k*","publish":"any","history":{"max_messages":1000}},{"pattern":"*","publish":"any"}]'

const ROOMS = 100
/** Messages that are not acknowledged yet. */
const IN_FLIGHT = 256

/** Milliseconds of processor time that 1,000 messages may cost an instance that they do not concern. */
const CPU_TARGET_MS = 0.5
/** Bytes that they may bring it, of some 400,000: what it does anyway is not the same in every second. */
const BYTES_TARGET = 400

/** What has come to an instance, or what it has spent, until now. */
interface Reading {
  readonly cpuMs: number
  readonly bytes: number
}

/**
 * The first instance publishes, into rooms that have a member each at the second and none at the third. What the two do
 * anyway, in a time of the same length after the last message, is taken off. The same work takes longer beside busy
 * processes: how much longer, an instance tells to which no message can come.
 */
async function run(load: Load): Promise<Measured> {
  const [publishing, concerned, bystander, stranger] = load.task.servers
  if (publishing === undefined || concerned === undefined || bystander === undefined || stranger === undefined)
    throw new Error('too few instances')
  const rooms = Array.from({ length: ROOMS }, (_, n) => `${n % 2 === 0 ? 'kept' : 'live'}-${n}`)
  await load.open(1, { rooms: () => rooms, server: concerned })
  for (const server of [bystander, stranger]) await load.open(1, { rooms: () => ['silent'], server })
  const [sender] = await load.open(1, { server: publishing })
  if (sender === undefined) throw new Error('no client')
  const publishers = rooms.map((room, n) => new Publisher(sender, room, 1, n * 100_000))
  let acks = 0
  let unanswered = 0
  const publish = (): void => {
    for (; unanswered < IN_FLIGHT; unanswered++) publishers[(acks + unanswered) % ROOMS]?.send(1)
  }
  load.onFrame = (_, signature) => {
    if (signature !== ACK) return
    acks++
    unanswered--
  }
  const spent = async (part: () => Promise<unknown>): Promise<Reading[]> => {
    const before = [concerned, bystander, stranger].map((each) => read(load, each))
    await part()
    const after = [concerned, bystander, stranger].map((each) => read(load, each))
    return after.map(({ cpuMs, bytes }, n) => ({
      cpuMs: cpuMs - (before[n]?.cpuMs ?? 0),
      bytes: bytes - (before[n]?.bytes ?? 0),
    }))
  }

  const length = load.size(10_000, 3000)
  let running = true
  load.onChunk = () => {
    if (running) publish()
  }
  await load.settle()
  publish()
  await load.until(Bun.sleep(load.size(4000, 2000)), 'warm-up')
  const from = acks
  const busy = await spent(() => load.measure(() => Bun.sleep(length), 'messages'))
  const thousands = (acks - from) / 1000
  running = false
  await load.settle()
  const idle = await spent(() => Bun.sleep(length))
  const extra = (n: number, key: keyof Reading): number => ((busy[n]?.[key] ?? 0) - (idle[n]?.[key] ?? 0)) / thousands
  return {
    messages: (acks - from) / load.usage.seconds,
    concerned_ms: extra(0, 'cpuMs'),
    bystander_ms: extra(1, 'cpuMs'),
    stranger_ms: extra(2, 'cpuMs'),
    more_ms: extra(1, 'cpuMs') - extra(2, 'cpuMs'),
    concerned_bytes: extra(0, 'bytes'),
    bystander_bytes: extra(1, 'bytes'),
  }
}

function read({ task: { redis } }: Load, { pid }: Endpoint): Reading {
  return { cpuMs: processorMs(pid), bytes: bytesReceived(pid, redis?.port ?? 0) }
}

export const clusterBystander: Case = {
  name: 'cluster-bystander',
  title: 'an instance that has no member of the rooms in which messages are said, beside one that has a member of each',
  sides: [{ name: 'three instances', flags: [RULES], instances: 3, stranger: true }],
  metrics: [
    { key: 'messages', title: 'messages per second', unit: '/s', better: 'more' },
    { key: 'concerned_ms', title: 'processor time for 1,000 of them, with members', unit: 'ms', better: 'less' },
    { key: 'bystander_ms', title: 'processor time for 1,000 of them, without', unit: 'ms', better: 'less' },
    {
      key: 'stranger_ms',
      title: 'the same of an instance of another deployment, to which none can come',
      unit: 'ms',
      better: 'less',
    },
    {
      key: 'more_ms',
      title: 'what they cost the one without members',
      unit: 'ms',
      better: 'less',
      target: { atMost: CPU_TARGET_MS },
    },
    { key: 'concerned_bytes', title: 'bytes that came from Redis for them, with members', unit: 'B', better: 'less' },
    {
      key: 'bystander_bytes',
      title: 'bytes that came from Redis for them, without',
      unit: 'B',
      better: 'less',
      target: { atMost: BYTES_TARGET },
    },
  ],
  run,
}
