import { FaultProxy } from '../kit/fault-proxy.ts'
import { until } from '../support/until.ts'
import { holds, Ledger } from './accounting.ts'
import { Counter } from './counter.ts'
import { Device } from './device.ts'
import { type Fault, must, none, percentile } from './fault.ts'
import { OwnLag } from './own-lag.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Readers of a busy room that keep up; they only count. */
  readonly readers: number
  /** Readers of it that stop reading, over each of WebSocket and event stream. */
  readonly stopped: number
  /** Messages a second in the busy room. */
  readonly perSecond: number
  /** Milliseconds within which 99 of 100 messages of a quiet room come, whatever goes on in the busy one; absent: not judged. */
  readonly p99Ms?: number
}

const MESSAGE_BYTES = 16_000
/** What a server holds for one who does not read: small here, so that it is soon full. */
const MAX_PENDING_BYTES = 512 * 1024
/** Bytes that the server may take besides: of its own, and what the runtime keeps of buffers that are free again. */
const MEMORY_BYTES = 256 * 1024 * 1024
/** Bytes a second of a reader that is slow but does not stop. */
const SLOW_BYTES_PER_SECOND = 1000
const SLOW_CONSUMER = 4008

export const slowReaders: Fault<Size> = {
  number: 9,
  title: 'who does not read is cut off with its own code, costs nobody else anything, and resumes',
  short: { readers: 10, stopped: 3, perSecond: 320 },
  long: { readers: 1000, stopped: 200, perSecond: 5, p99Ms: 100 },

  async run({ readers, stopped, perSecond, p99Ms }) {
    await using server = await FaultServer.start({
      config: {
        limits: { max_pending_bytes: MAX_PENDING_BYTES },
        // Who does not read answers no ping either, and must not be gone for that.
        heartbeat: { timeout_ms: 600_000 },
      },
    })
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const url = () => server.url
    const publisherOf = async (name: string, padding?: string): Promise<Publisher> => {
      const token = await server.token({ user: name, device: 'p', roles: ['admin'] })
      const publisher = new Publisher({ name, url, token, ledger, ...(padding !== undefined && { padding }) })
      cleanup.defer(() => publisher.stop())
      await publisher.start()
      return publisher
    }
    const deviceOf = async (name: string, room: string, from = url): Promise<Device> => {
      const token = await server.token({ user: name, device: 'd' })
      const device = new Device({ name, user: name, url: from, token, rooms: [room] })
      cleanup.defer(() => device.stop())
      await device.start()
      return device
    }
    const tokens = {
      reader: await server.token({ user: 'reader' }),
      stopped: await server.token({ user: 'stopped' }),
    }
    const counterOf = async (path: string, user: 'reader' | 'stopped'): Promise<Counter> => {
      const token = tokens[user]
      const counter = await Counter.open(server.url, `${path}?token=${token}&rooms=busy`)
      cleanup.defer(() => counter.stop())
      if (user === 'stopped') counter.socket.pause()
      return counter
    }

    const quiet = await Promise.all(['q1', 'q2', 'q3'].map((name) => deviceOf(name, 'quiet')))
    const keepUp = await deviceOf('keeps-up', 'busy')
    const sleepers = await Promise.all(Array.from({ length: 2 }, (_, n) => deviceOf(`sleeper${n}`, 'busy')))
    const proxy = cleanup.use(await FaultProxy.start(server.url))
    const trickle = await deviceOf('trickle', 'busy', () => proxy.url)
    const counters: Counter[] = []
    for (let n = 0; n < readers; n++) counters.push(await counterOf(n % 2 ? '/realtime' : '/realtime/sse', 'reader'))
    const descriptors = server.descriptors()
    for (let n = 0; n < stopped; n++) {
      await counterOf('/realtime', 'stopped')
      await counterOf('/realtime/sse', 'stopped')
    }

    using lag = new OwnLag()
    const stop = new AbortController()
    const busy = (await publisherOf('busy', 'x'.repeat(MESSAGE_BYTES))).run(['room:busy'], perSecond, stop.signal)
    const calm = (await publisherOf('calm')).run(['room:quiet'], 50, stop.signal)
    const before = server.memoryBytes()
    for (const sleeper of sleepers) sleeper.pause(true)
    proxy.set({ bytesPerSecond: SLOW_BYTES_PER_SECOND })
    // What the kernels hold for them comes first: a few megabytes each.
    const patienceMs = ((8 << 20) / MESSAGE_BYTES / perSecond) * 1000 + 15_000
    const began = performance.now()
    let peak = 0
    const cutOff = async (connections: () => Promise<number>, left: number): Promise<void> => {
      while ((await connections()) > left) {
        must(performance.now() - began < patienceMs, 'who does not read is not cut off')
        peak = Math.max(peak, server.memoryBytes() - before)
        await Bun.sleep(20)
      }
    }
    const connectionsOf = async (user: string): Promise<number> => {
      const response = await server.admin(`/realtime/users/${user}`)
      return ((await response.json()) as { connections: number }).connections
    }
    // Who reads on soon enough after that finds the reason at the end of what was on its way.
    const backMs: number[] = []
    const waking = sleepers.map(async (sleeper) => {
      await cutOff(() => connectionsOf(sleeper.app.name), 0)
      const since = performance.now()
      sleeper.pause(false)
      await until(() => sleeper.connects > 1 && sleeper.isOpen)
      backMs.push(performance.now() - since)
    })
    await Promise.all([...waking, cutOff(() => connectionsOf('trickle'), 0), cutOff(() => connectionsOf('stopped'), 0)])
    proxy.heal()
    // What it was sent is still on its way through the proxy, for minutes.
    proxy.cut()
    await until(() => trickle.connects > 1 && trickle.isOpen)
    stop.abort()
    await Promise.all([busy, calm])
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    const all = [...quiet, keepUp, ...sleepers, trickle]
    await Promise.all(all.map((device) => device.reaches(last)))

    holds(
      ledger,
      all.map(({ app }) => app),
    )
    none(
      'sent out of order',
      all.flatMap(({ breaches }) => breaches),
    )
    for (const { app, closes } of sleepers) {
      must(closes.has(SLOW_CONSUMER), `${app.name} was closed with ${[...closes.keys()]}, not ${SLOW_CONSUMER}`)
    }
    for (const { app, connects } of [...quiet, keepUp]) must(connects === 1, `${app.name} was cut off though it reads`)
    const lost = counters.filter(({ ended }) => ended).length
    must(lost === 0, `${lost} of ${readers} readers were cut off though they read`)
    const allowed = (stopped * 2 + 3) * MAX_PENDING_BYTES * 2 + MEMORY_BYTES
    must(peak < allowed, `${peak} bytes more than before, ${allowed} allowed`)
    // Also of those that will never read again nothing is left.
    await until(() => server.descriptors() <= descriptors + 8)
    const latencies = quiet.flatMap(({ latencyMs }) => latencyMs)
    const p99 = percentile(latencies, 99)
    const own = lag.p99
    if (p99Ms !== undefined)
      must(
        p99 - own < p99Ms,
        `99 of 100 messages of the quiet room came within ${p99} ms only, ${own} of them this process' own`,
      )
    return {
      published: ledger.count('ok'),
      refused: ledger.count('failed'),
      cut_off: stopped * 2 + 3,
      back_after_ms: percentile(backMs, 100),
      quiet_p50_ms: percentile(latencies, 50),
      quiet_p99_ms: p99,
      own_lag_p99_ms: own,
      memory_peak_mb: Math.round(peak / 1e6),
      read_by_counters_mb: Math.round(counters.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6),
    }
  },
}
