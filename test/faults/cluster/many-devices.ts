import { FaultProxy } from '../../kit/fault-proxy.ts'
import { until } from '../../support/until.ts'
import { holds, Ledger } from '../accounting.ts'
import { Device } from '../device.ts'
import { type Fault, must, none, percentile } from '../fault.ts'
import { Publisher } from '../publisher.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  readonly messages: number
  readonly cuts: number
  /** How often an instance is killed and started again meanwhile. */
  readonly kills: number
}

/** Devices of one user and how each goes on: with its cursor, or from what it has acknowledged. */
const DEVICES = [
  { name: 'phone' },
  { name: 'laptop', resumesBy: 'frame' as const },
  { name: 'tablet', takesOver: true },
  { name: 'watch', bringsCursor: false, acknowledges: true, query: { ack: 'explicit' } },
  { name: 'glasses', bringsCursor: false },
]
/** Pings come often: what a pong acknowledges must have arrived. */
const HEARTBEAT = { interval_ms: 100, timeout_ms: 5000 }
/** Milliseconds between two publishes, on average. */
const PAUSE_MS = 4

export const manyDevices: Fault<Size> = {
  number: 10,
  title:
    'five devices of one user on three instances are cut, and instances die: each gets each message once, in order',
  short: { messages: 300, cuts: 30, kills: 1 },
  long: { messages: 1000, cuts: 300, kills: 10 },

  async run({ messages, cuts, kills }, chance, progress) {
    await using cluster = await FaultCluster.start({
      config: { inbox: { max_messages: 100_000 }, heartbeat: HEARTBEAT },
    })
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    // Between clients and each instance, to be cut.
    const ways: FaultProxy[] = []
    for (const server of cluster.servers) ways.push(cleanup.use(await FaultProxy.start(server.url)))
    const anyWay = () => chance.pick(ways).url
    const devices: Device[] = []
    for (const { name, query, ...how } of DEVICES) {
      const device = new Device({
        ...how,
        name,
        user: 'alice',
        url: anyWay,
        token: await cluster.token({ user: 'alice', device: name }),
        ...(query !== undefined && { query }),
        // Away for a moment, or long enough for something to be stored for it.
        pauseMs: () => (chance.below(3) === 0 ? chance.below(400) : chance.below(20)),
      })
      device.app.expect('user:alice', 0)
      cleanup.defer(() => device.stop())
      devices.push(device)
    }
    await Promise.all(devices.map((device) => device.start()))
    const token = await cluster.token({ user: 'bob', device: 'p' })
    const publisher = new Publisher({ name: 'bob', url: anyWay, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()

    const publishing = (async () => {
      for (let published = 0; published < messages; published++) {
        await until(() => publisher.hasRoom)
        publisher.publish('user:alice')
        await Bun.sleep(chance.below(PAUSE_MS * 2))
      }
    })()
    const cutting = (async () => {
      for (let n = 0; n < cuts; n++) {
        progress(`cut ${n + 1} of ${cuts}`)
        const device = chance.pick(devices)
        const way = chance.below(6)
        if (way === 0) chance.pick(ways).cut()
        // A library that lives on would answer a ping for an application that is gone.
        else if (way === 1 && device.options.name !== 'glasses') device.abandon()
        else if (way === 2) device.hangUp()
        else device.reset()
        await Bun.sleep((messages * PAUSE_MS) / cuts)
      }
    })()
    const killing = (async () => {
      for (let n = 0; n < kills; n++) {
        const { server } = chance.pick(cluster.members)
        await Bun.sleep(chance.below(((messages * PAUSE_MS) / kills) * 2))
        await server.kill()
        await Bun.sleep(chance.below(200))
        await server.start()
      }
    })()
    await Promise.all([publishing, cutting, killing])
    await publisher.settled()
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(devices.map((device) => device.reaches(last)))

    const apps = devices.map(({ app }) => app)
    holds(ledger, apps)
    none(
      'sent out of order',
      devices.flatMap(({ breaches }) => breaches),
    )
    const missing = devices
      .filter(({ notRecovered, gapsTold }) => notRecovered + gapsTold > 0)
      .map(({ app }) => app.name)
    none('something was said to be missing to', missing)
    const failed = ledger.count('failed')
    must(failed === 0, `${failed} publishes failed`)
    return {
      published: ledger.count('ok'),
      retried: publisher.retried,
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
      returns: devices.reduce((sum, { connects }) => sum + connects, 0) - devices.length,
      again_on_the_wire: apps.reduce((sum, { duplicates }) => sum + duplicates, 0),
      resumed_p99_ms: percentile(
        devices.flatMap(({ resumeMs }) => resumeMs),
        99,
      ),
    }
  },
}
