/**
 * `bun scripts/bench-log.ts [--seconds=5] [--publishers=500] [--rooms=1,1000] [--rate=0] [--durability=process]`: how fast
 * the embedded store stores, and how long the event loop stands still meanwhile. Publishers wait for each acknowledgement;
 * with a rate, messages come at that rate whatever becomes of them.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openStore, type Store } from '../src/backends/embedded/log/store.ts'
import { systemClock } from '../src/core/clock.ts'
import { silentLog } from '../src/core/log.ts'

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    seconds: { type: 'string', default: '5' },
    publishers: { type: 'string', default: '500' },
    rooms: { type: 'string', default: '1,1000' },
    rate: { type: 'string', default: '0' },
    durability: { type: 'string', default: 'process' },
  },
})

/** 128 bytes of text in a chat message. */
const BODY = JSON.stringify({
  type: 'chat',
  payload: { text: 'x'.repeat(128) },
  id: 'abcdefgh1234',
  room: 'room-0000',
  sender: { user_id: 'alice', device_id: 'laptop', username: 'Alice' },
  timestamp: 1763600000.123,
})
/** The default of an inbox, so that a busy room is trimmed as fast as it grows. */
const RETENTION = { maxMessages: 1000, maxAgeMs: 3_600_000 }
/** Milliseconds between two bursts of paced messages. */
const BURST_MS = 5

/** Sorted samples in milliseconds. */
class Samples {
  private readonly all: number[] = []

  add(ms: number): void {
    this.all.push(ms)
  }

  describe(): string {
    const sorted = this.all.sort((a, b) => a - b)
    const at = (q: number): string =>
      (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(2)
    return `p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, max ${at(1)} ms`
  }
}

/** Milliseconds for which this thread could have run and another one did, on Linux; see proc_pid_schedstat(5). */
function queuedMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

/**
 * Notes how late a timer of a millisecond comes: what anybody else on the event loop would wait. `own` is without the
 * time for which the machine did something else.
 */
function watchLoop(gaps: Samples, own: Samples): () => void {
  let last = performance.now()
  let queued = queuedMs()
  const timer = setInterval(() => {
    const now = performance.now()
    const queuedNow = queuedMs()
    const gap = Math.max(0, now - last - 1)
    gaps.add(gap)
    own.add(Math.max(0, gap - (queuedNow - queued)))
    last = now
    queued = queuedNow
  }, 1)
  return () => clearInterval(timer)
}

async function measure({ messages }: Store, rooms: number): Promise<void> {
  const latency = new Samples()
  const gaps = new Samples()
  const own = new Samples()
  let stored = 0
  let refused = 0
  let stopped = false
  let counter = 0
  const publish = async (scope: string): Promise<void> => {
    const n = counter++
    const begun = performance.now()
    try {
      await messages.append({
        topic: `room:${(n * 7919) % rooms}`,
        id: `m${n.toString(36)}`,
        body: BODY,
        at: Date.now(),
        retention: RETENTION,
        idempotency: { scope, key: `c-${n}` },
      })
      stored++
    } catch {
      refused++
    }
    if (n % 16 === 0) latency.add(performance.now() - begun)
  }
  const publisher = async (scope: string): Promise<void> => {
    while (!stopped) await publish(scope)
  }
  const rate = Number(values.rate)
  let due = 0
  let paced = performance.now()
  const burst = setInterval(
    () => {
      const now = performance.now()
      for (due += ((now - paced) * rate) / 1000; due >= 1; due--) void publish(`user-${counter % 10_000}/laptop`)
      paced = now
    },
    rate > 0 ? BURST_MS : 2 ** 30,
  )

  const unwatch = watchLoop(gaps, own)
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const publishers =
    rate > 0 ? [] : Array.from({ length: Number(values.publishers) }, (_, n) => publisher(`user-${n}/laptop`))
  await Bun.sleep(Number(values.seconds) * 1000)
  stopped = true
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  clearInterval(burst)
  unwatch()
  await Promise.all(publishers)
  const cores = ((user + system) / 1e6 / seconds).toFixed(2)
  console.log(
    `${rooms} rooms, ${rate > 0 ? `${rate} messages a second` : `${values.publishers} publishers`}, ${values.durability}: ` +
      `${Math.round(stored / seconds)} stored a second, ${refused} refused, ${cores} cores\n` +
      `  acknowledged after ${latency.describe()}\n  event loop late by ${gaps.describe()}\n  of that by its own work ${own.describe()}`,
  )
}

for (const rooms of values.rooms.split(',').map(Number)) {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'))
  const store = openStore({
    path: join(folder, 'tidings.db'),
    durability: values.durability === 'full' ? 'full' : 'process',
    idempotencyMs: 120_000,
    horizonMs: 7 * 86_400_000,
    maxStateBytes: 65_536,
    clock: systemClock,
    log: silentLog,
  })
  try {
    await measure(store, rooms)
  } finally {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
