import { until } from '../../support/until.ts'
import { holds, Ledger } from '../accounting.ts'
import { Device } from '../device.ts'
import { type Fault, must, none } from '../fault.ts'
import { Publisher } from '../publisher.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  /** At each instance. */
  readonly publishers: number
  /** Of each publisher. */
  readonly messages: number
}

const SUBSCRIBERS_EACH = 2
/** Publishes under way of each: what 150 have under way together is stored and told long before it has waited too long. */
const UNDER_WAY = 20

export const concurrentPublishers: Fault<Size> = {
  number: 4,
  title:
    'many publish to one room by three instances at once: everybody sees one sequence, with the order of each publisher',
  short: { publishers: 6, messages: 50 },
  long: { publishers: 50, messages: 1000 },

  async run({ publishers, messages }, _chance, progress) {
    await using cluster = await FaultCluster.start()
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const devices: Device[] = []
    for (let n = 0; n < cluster.members.length * SUBSCRIBERS_EACH; n++) {
      const user = `u${n}`
      const token = await cluster.token({ user, device: 'd' })
      const device = new Device({ name: user, user, url: () => cluster.at(n).server.url, token, rooms: ['one'] })
      cleanup.defer(() => device.stop())
      devices.push(device)
    }
    await Promise.all(devices.map((device) => device.start()))
    const all: Publisher[] = []
    for (let n = 0; n < cluster.members.length * publishers; n++) {
      const token = await cluster.token({ user: `p${n}`, device: 'd', roles: ['admin'] })
      const name = `p${n}`
      const url = () => cluster.at(n).server.url
      const publisher = new Publisher({ name, url, token, ledger, underWay: UNDER_WAY })
      cleanup.defer(() => publisher.stop())
      all.push(publisher)
    }
    await Promise.all(all.map((publisher) => publisher.start()))
    await Promise.all(
      all.map(async (publisher) => {
        for (let sent = 0; sent < messages; sent++) {
          if (!publisher.hasRoom) await until(() => publisher.hasRoom)
          progress(`${ledger.count('ok')} published`)
          publisher.publish('room:one')
        }
        await publisher.settled()
      }),
    )
    progress('everybody gets everything')
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(devices.map((device) => device.reaches(last)))

    const apps = devices.map(({ app }) => app)
    holds(ledger, apps)
    none(
      'sent out of order',
      devices.flatMap(({ breaches }) => breaches),
    )
    const failed = ledger.count('failed')
    const refusals = all.flatMap(({ errors }) => errors)
    must(failed === 0, `${failed} publishes failed: ${JSON.stringify(refusals[0])}`)
    const sequences = new Set(apps.map(({ got }) => got.map(({ key }) => key).join('\n')))
    must(sequences.size === 1, `there are ${sequences.size} sequences`)
    return { published: ledger.count('ok'), delivered: apps.reduce((sum, { got }) => sum + got.length, 0) }
  },
}
