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
  readonly rooms: number
  /** Messages a second in each room. */
  readonly perSecond: number
  readonly publishers: number
  /** Others in the first room: with more than a few hundred members a room is served in several turns. */
  readonly crowd: number
  readonly cuts: number
  /** Milliseconds between two cuts, at most. */
  readonly everyMs: number
  /** Milliseconds within which 99 of 100 have to be back; absent: not judged. */
  readonly p99Ms?: number
}

/** Every way in which a connection may end, and the ways to come back. */
export const cutAndResume: Fault<Size> = {
  number: 1,
  title: 'connections are cut at random under load; everybody resumes and nothing is lost, doubled or out of order',
  short: { rooms: 20, perSecond: 25, publishers: 2, crowd: 300, cuts: 60, everyMs: 60 },
  long: { rooms: 200, perSecond: 50, publishers: 10, crowd: 600, cuts: 300, everyMs: 100, p99Ms: 500 },

  async run({ rooms, perSecond, publishers, crowd, cuts, everyMs, p99Ms }, chance) {
    await using server = await FaultServer.start()
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const names = Array.from({ length: rooms }, (_, n) => `r${n}`)

    const devices: { device: Device; proxy: FaultProxy }[] = []
    for (const [n, room] of names.entries()) {
      const proxy = cleanup.use(await FaultProxy.start(server.url))
      const user = `u${n}`
      const device = new Device({
        name: user,
        user,
        url: () => proxy.url,
        token: await server.token({ user, device: 'd' }),
        // Its own, one that many are in, and a few of others.
        rooms: [room, 'r0', chance.pick(names)].filter((name, at, all) => all.indexOf(name) === at),
        format: n % 4 === 3 ? 'msgpack' : 'json',
        resumesBy: n % 3 === 2 ? 'frame' : 'address',
        takesOver: n % 2 === 0,
        // Now and then away for long enough to be cut again in the middle of what it has missed.
        pauseMs: () => (chance.below(4) === 0 ? chance.below(400) : chance.below(30)),
      })
      cleanup.defer(() => device.stop())
      devices.push({ device, proxy })
    }
    const token = await server.token({ user: 'crowd' })
    for (let n = 0; n < crowd; n++) {
      const counter = await Counter.open(server.url, `/realtime?token=${token}&rooms=r0`)
      cleanup.defer(() => counter.stop())
    }
    await Promise.all(devices.map(({ device }) => device.start()))

    using lag = new OwnLag()
    const stop = new AbortController()
    const running: Promise<void>[] = []
    const senders: { publisher: Publisher; proxy: FaultProxy }[] = []
    for (let n = 0; n < publishers; n++) {
      const proxy = cleanup.use(await FaultProxy.start(server.url))
      const token = await server.token({ user: 'publisher', device: `p${n}`, roles: ['admin'] })
      const publisher = new Publisher({ name: `p${n}`, url: () => proxy.url, token, ledger })
      cleanup.defer(() => publisher.stop())
      await publisher.start()
      senders.push({ publisher, proxy })
      const topics = names.filter((_, at) => at % publishers === n).map((name) => `room:${name}`)
      running.push(publisher.run(topics, topics.length * perSecond, stop.signal))
    }

    const cut = async (n: number): Promise<void> => {
      // One in ten is a publisher's.
      if (n % 10 === 9) {
        chance.pick(senders).proxy.cut()
        return
      }
      const { device, proxy } = chance.pick(devices)
      const way = chance.below(6)
      if (way < 2) proxy.cut()
      else if (way === 2) proxy.hangUp()
      else if (way === 3) {
        for (let again = 0; again < 3; again++) {
          proxy.set({ cutAfterBytes: 1 + chance.below(6000) })
          await Bun.sleep(chance.below(100))
        }
        proxy.set({ cutAfterBytes: 0 })
      } else if (way === 4) device.abandon()
      else {
        // Cut, and cut again while it comes back.
        proxy.cut()
        await Bun.sleep(chance.below(40))
        proxy.cut()
      }
    }
    for (let n = 0; n < cuts; n++) {
      await cut(n)
      await Bun.sleep(chance.below(everyMs))
    }

    stop.abort()
    for (const { proxy } of [...devices, ...senders]) proxy.heal()
    await Promise.all(running)
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await until(() => devices.every(({ device }) => device.isOpen))
    await Promise.all(devices.map(({ device }) => device.reaches(last)))

    const all = devices.map(({ device }) => device)
    holds(
      ledger,
      all.map(({ app }) => app),
    )
    none(
      'sent out of order',
      all.flatMap(({ breaches }) => breaches),
    )
    const notRecovered = sum(all, ({ notRecovered }) => notRecovered)
    must(notRecovered === 0, `${notRecovered} times something was said to be missing that was not`)
    const resumed = all.flatMap(({ resumeMs }) => resumeMs)
    const p99 = percentile(resumed, 99)
    const own = lag.p99
    if (p99Ms !== undefined)
      must(p99 - own < p99Ms, `99 of 100 resumed within ${p99} ms only, ${own} of them this process' own`)
    return {
      published: ledger.count('ok'),
      failed: ledger.count('failed'),
      retried: sum(senders, ({ publisher }) => publisher.retried),
      delivered: sum(all, ({ app }) => app.got.length),
      again_on_the_wire: sum(all, ({ app }) => app.duplicates),
      resumes: resumed.length,
      sessions_kept: sum(all, ({ sessionsKept }) => sessionsKept),
      sessions_lost: sum(all, ({ sessionsLost }) => sessionsLost),
      resumed_p50_ms: percentile(resumed, 50),
      resumed_p99_ms: p99,
      own_lag_p99_ms: own,
    }
  },
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0)
}
