import { FaultProxy } from '../kit/fault-proxy.ts'
import { until } from '../support/until.ts'
import { holds, Ledger } from './accounting.ts'
import { Device } from './device.ts'
import { type Fault, must, none, percentile } from './fault.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly messages: number
  readonly cuts: number
  readonly kills: number
}

/** Devices of one user and how each goes on: with its cursor, or from what it has acknowledged. */
const DEVICES = [
  { name: 'phone', bringsCursor: true },
  { name: 'laptop', bringsCursor: true, resumesBy: 'frame' as const },
  { name: 'tablet', bringsCursor: true, takesOver: true },
  { name: 'watch', bringsCursor: false, acknowledges: true, query: { ack: 'explicit' } },
  { name: 'glasses', bringsCursor: false },
]

/** Pings come often: what a pong acknowledges must have arrived. */
const HEARTBEAT = { interval_ms: 100, timeout_ms: 5000 }

/** Between two publishes: one turn of a phone's radio. */
const PAUSE_MS = 4

export const offlineStore: Fault<Size> = {
  number: 10,
  title:
    'five devices of one user are cut, and the server is killed, while it stores and while it syncs: each gets each message once, in order',
  short: { messages: 400, cuts: 60, kills: 2 },
  long: { messages: 1000, cuts: 300, kills: 10 },

  async run({ messages, cuts, kills }, chance) {
    const durability = chance.pick(['process', 'full'] as const)
    await using server = await FaultServer.start({
      config: {
        store: { durability },
        inbox: { max_messages: 100_000 },
        drain: { window_ms: 50 },
        heartbeat: HEARTBEAT,
      },
    })
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const devices: { device: Device; proxy: FaultProxy }[] = []
    for (const { name, query, ...how } of DEVICES) {
      const proxy = cleanup.use(await FaultProxy.start(server.url))
      const device = new Device({
        ...how,
        name,
        user: 'alice',
        url: () => proxy.url,
        token: await server.token({ user: 'alice', device: name }),
        ...(query !== undefined && { query }),
        // Away for a moment, or long enough for something to be stored for it.
        pauseMs: () => (chance.below(3) === 0 ? chance.below(400) : chance.below(20)),
      })
      device.app.expect('user:alice', 0)
      cleanup.defer(() => device.stop())
      devices.push({ device, proxy })
    }
    await Promise.all(devices.map(({ device }) => device.start()))
    const token = await server.token({ user: 'bob', device: 'p' })
    const publisher = new Publisher({ name: 'bob', url: () => server.url, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()

    let published = 0
    const isOver = () => published >= messages
    const publishing = (async () => {
      for (; !isOver(); published++) {
        await until(() => publisher.hasRoom)
        publisher.publish('user:alice')
        await Bun.sleep(chance.below(PAUSE_MS * 2))
      }
    })()
    const cutting = (async () => {
      for (let n = 0; n < cuts; n++) {
        const { device, proxy } = chance.pick(devices)
        if (chance.below(5) === 0) for (const each of devices) each.proxy.cut()
        // A library that lives on would answer a ping for an application that is gone: what it had been sent counts as processed.
        else if (device.options.name !== 'glasses' && chance.below(4) === 0) device.abandon()
        else if (chance.below(2) === 0) {
          proxy.set({ cutAfterBytes: 1 + chance.below(5000) })
          setTimeout(() => proxy.set({ cutAfterBytes: 0 }), chance.below(200))
        } else proxy.cut()
        await Bun.sleep((messages * PAUSE_MS) / cuts)
      }
    })()
    const killing = (async () => {
      for (let n = 0; n < kills; n++) {
        await Bun.sleep(chance.below(((messages * PAUSE_MS) / kills) * 2))
        // Now and then in peace: then nobody has to be told that something went wrong.
        if (chance.below(3) === 0) must((await server.stop()) === 0, 'a stop in peace failed')
        else await server.kill()
        await server.start()
        // Right after the start, when everybody is read what was missed.
        if (n % 2 === 0) {
          await Bun.sleep(chance.below(60))
          await server.kill()
          await server.start()
        }
      }
    })()
    await Promise.all([publishing, cutting, killing])
    for (const { proxy } of devices) proxy.heal()
    await publisher.settled()
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(devices.map(({ device }) => device.reaches(last)))

    const all = devices.map(({ device }) => device)
    const apps = all.map(({ app }) => app)
    holds(ledger, apps)
    none(
      'sent out of order',
      all.flatMap(({ breaches }) => breaches),
    )
    const missing = all.filter(({ notRecovered }) => notRecovered > 0).map(({ app }) => app.name)
    none('something was said to be missing to', missing)
    // Without a cursor in the address the inbox goes on from what was acknowledged, which may be behind.
    const namesCursor = ({ options }: Device) => (options.bringsCursor ?? true) && options.resumesBy !== 'frame'
    const again = (names: boolean) =>
      all.filter((device) => namesCursor(device) === names).reduce((sum, { app }) => sum + app.duplicates, 0)
    must(again(true) === 0, `${again(true)} messages came again to devices that named their cursor`)
    return {
      durability,
      published: ledger.count('ok'),
      retried: publisher.retried,
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
      returns: all.reduce((sum, { connects }) => sum + connects, 0) - all.length,
      again_without_a_cursor: again(false),
      sessions_kept: all.reduce((sum, { sessionsKept }) => sum + sessionsKept, 0),
      resumed_p99_ms: percentile(
        all.flatMap(({ resumeMs }) => resumeMs),
        99,
      ),
    }
  },
}
