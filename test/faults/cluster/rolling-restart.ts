import { until } from '../../support/until.ts'
import { Counter } from '../counter.ts'
import { type Fault, must, none } from '../fault.ts'
import type { FaultServer } from '../server.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  /** Others at each instance, who do not come back. */
  readonly others: number
  readonly windowMs: number
  readonly rounds: number
}

/** Milliseconds between saying that it leaves and leaving. */
const DELAY_MS = 300
/** Milliseconds that a drain may take beyond its window. */
const DEADLINE_MS = 5000
/** The close code of a server that restarts. */
const RESTART = 1012
/** How much of the window the closes must take up: they do all of it, and a busy machine hears of the first ones late. */
const MIN_SPREAD = 0.5

export const rollingRestart: Fault<Size> = {
  number: 12,
  title:
    'instances are restarted one after the other under load: each says first that it leaves, spreads the closes, and nothing is lost',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 100, others: 30, windowMs: 1000, rounds: 1 },
  // With 2,000 messages a second and everything on two cores, the instances that are left let in who comes, and now and then
  // store what is published too late: it holds, but is about that.
  long: { devices: 2000, publishers: 10, rooms: 500, perSecond: 1000, others: 0, windowMs: 10_000, rounds: 3 },

  async run({ others, windowMs, rounds, ...size }, chance, progress) {
    const drain = { delay_ms: DELAY_MS, window_ms: windowMs, deadline_ms: DELAY_MS + windowMs + DEADLINE_MS }
    await using cluster = await FaultCluster.start({ config: { drain } })
    await using crowd = await Crowd.gather({ ...size, cluster, chance, url: () => cluster.next() })
    await using cleanup = new AsyncDisposableStack()
    const token = await cluster.token({ user: 'other' })
    crowd.start()
    const spreads: number[] = []
    const drainMs: number[] = []
    for (let n = 0; n < rounds * cluster.members.length; n++) {
      const restart = `restart ${n + 1} of ${rounds * cluster.members.length}`
      progress(restart)
      const { server } = cluster.at(n)
      const counters: Counter[] = []
      for (let more = 0; more < others; more++) {
        const counter = await Counter.open(server.url, `/realtime?token=${token}&rooms=r0`)
        cleanup.defer(() => counter.stop())
        counters.push(counter)
      }
      await crowd.stored(40)
      const began = performance.now()
      const stopped = server.stop()
      await until(async () => (await server.readiness()) === 'draining')
      const early = [
        ...crowd.devices.filter(({ closedAt }) => closedAt > began),
        ...counters.filter(({ ended }) => ended),
      ]
      must(early.length === 0, `${early.length} were closed before the server said that it leaves`)
      must((await stopped) === 0, 'a drain did not end well')
      drainMs.push(Math.round(performance.now() - began))
      await until(() => counters.every(({ ended }) => ended))
      const moved = crowd.devices.filter(({ closedAt }) => closedAt > began)
      const times = [...moved.map(({ closedAt }) => closedAt), ...counters.map(({ endedAt }) => endedAt)]
      spreads.push((Math.max(...times) - Math.min(...times)) / windowMs)
      await server.start()
      progress(`${restart}, everybody comes back`)
      await Promise.all(crowd.devices.map((device) => device.open()))
    }
    must(Math.min(...spreads) >= MIN_SPREAD, `closes took up ${Math.min(...spreads)} of the window only`)
    await crowd.stored(100)
    await crowd.settle()
    crowd.check()
    crowd.missedNothing()
    none(
      'closed without being told when to come back',
      crowd.devices
        .filter(({ closes, drainsTold }) => (closes.get(RESTART) ?? 0) !== drainsTold)
        .map(
          ({ app, closes, drainsTold }) => `${app.name}: ${closes.get(RESTART) ?? 0} closes, told ${drainsTold} times`,
        ),
    )
    const [first] = cluster.servers as [FaultServer]
    await forced(first)
    return {
      ...crowd.figures(),
      moved: crowd.devices.reduce((sum, { closes }) => sum + (closes.get(RESTART) ?? 0), 0),
      slowest_drain_ms: Math.max(...drainMs),
      least_spread: Math.round(Math.min(...spreads) * 100) / 100,
    }
  },
}

/** A second signal ends it at once, whoever is still connected. */
async function forced(server: FaultServer): Promise<void> {
  const { pid } = server
  const stopped = server.stop()
  await until(async () => (await server.readiness()) === 'draining')
  process.kill(pid, 'SIGTERM')
  must((await stopped) !== 0, 'a server that was told twice to stop took its time')
}
