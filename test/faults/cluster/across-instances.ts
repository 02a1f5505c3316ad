import { until } from '../../support/until.ts'
import { holds, Ledger } from '../accounting.ts'
import { type Fault, percentile } from '../fault.ts'
import { TRANSPORTS } from '../hearing.ts'
import { Publisher } from '../publisher.ts'
import { Traveller } from '../traveller.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  readonly devices: number
  /** Changes of transport and instance of each device. */
  readonly hops: number
  readonly perSecond: number
  /** How often an instance is killed and started again, afterwards. */
  readonly kills: number
}

export const acrossInstances: Fault<Size> = {
  number: 7,
  title: 'one cursor carries a device from transport to transport and from instance to instance, though instances die',
  short: { devices: 5, hops: 5, perSecond: 100, kills: 1 },
  long: { devices: 40, hops: 100, perSecond: 1000, kills: 20 },

  async run({ devices, hops, perSecond, kills }, chance, progress) {
    await using cluster = await FaultCluster.start({ config: { poll: { grace_ms: 2000 } } })
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const token = await cluster.token({ user: 'publisher', device: 'p', roles: ['admin'] })
    const publisher = new Publisher({ name: 'p', url: () => cluster.next(), token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()
    const stop = new AbortController()
    const users = Array.from({ length: devices }, (_, n) => `u${n}`)
    const topics = ['room:a', 'room:b', 'room:c', ...users.map((user) => `user:${user}`)]
    const url = () => cluster.next()
    const travellers = await Promise.all(
      users.map(
        async (user) => new Traveller({ url, user, token: await cluster.token({ user, device: 'd' }), chance }),
      ),
    )
    for (const traveller of travellers) cleanup.defer(() => traveller.stop())
    await Promise.all(travellers.map((traveller) => traveller.hop('websocket')))
    const publishing = publisher.run(topics, perSecond, stop.signal)
    await Promise.all(
      travellers.map(async (traveller) => {
        for (let n = 0; n < hops; n++) {
          progress(`hop ${n + 1} of ${hops} of one device`)
          await traveller.hop(chance.pick(TRANSPORTS))
        }
      }),
    )
    let killing = kills
    await Promise.all([
      (async () => {
        for (; killing > 0; killing--) {
          progress(`${killing} kills to come`)
          const { server } = chance.pick(cluster.members)
          await Bun.sleep(chance.below(400))
          await server.kill()
          await Bun.sleep(chance.below(400))
          await server.start()
        }
      })(),
      ...travellers.map(async (traveller) => {
        while (killing > 0) await traveller.hop(chance.pick(TRANSPORTS))
      }),
    ])
    stop.abort()
    await publishing
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(travellers.map((traveller) => traveller.hop('poll')))
    await until(() => travellers.every(({ app }) => app.position >= last))

    const apps = travellers.map(({ app }) => app)
    holds(ledger, apps)
    const welcomeMs = travellers.flatMap((traveller) => traveller.welcomeMs)
    return {
      published: ledger.count('ok'),
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
      hops: welcomeMs.length,
      again_on_the_wire: apps.reduce((sum, { duplicates }) => sum + duplicates, 0),
      welcome_p99_ms: percentile(welcomeMs, 99),
    }
  },
}
