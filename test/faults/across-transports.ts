import { until } from '../support/until.ts'
import { Application, holds, Ledger } from './accounting.ts'
import { Counter } from './counter.ts'
import { type Fault, must, percentile } from './fault.ts'
import { TRANSPORTS } from './hearing.ts'
import { pollTwice } from './poll-twice.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'
import { Traveller } from './traveller.ts'

interface Size {
  readonly devices: number
  /** Changes of transport of each device. */
  readonly hops: number
  readonly perSecond: number
  /** Others in one of the rooms: with more than a few hundred members a room is served in several turns. */
  readonly crowd: number
  /** Rounds of two polls of one session at the same time. */
  readonly parallel: number
  /** How often the server is killed and started again, afterwards. */
  readonly kills: number
}

export const acrossTransports: Fault<Size> = {
  number: 7,
  title: 'one cursor carries a device from transport to transport; two polls of one session share the messages',
  short: { devices: 6, hops: 12, perSecond: 300, crowd: 300, parallel: 60, kills: 2 },
  long: { devices: 40, hops: 100, perSecond: 1000, crowd: 600, parallel: 2000, kills: 20 },

  async run({ devices, hops, perSecond, crowd, parallel, kills }, chance) {
    await using server = await FaultServer.start()
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const token = await server.token({ user: 'publisher', device: 'p', roles: ['admin'] })
    const publisher = new Publisher({ name: 'p', url: () => server.url, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()
    const stop = new AbortController()
    const crowdToken = await server.token({ user: 'crowd' })
    for (let n = 0; n < crowd; n++) {
      const path = n % 3 === 0 ? '/realtime/sse' : '/realtime'
      const counter = await Counter.open(server.url, `${path}?token=${crowdToken}&rooms=a`)
      cleanup.defer(() => counter.stop())
    }
    const users = Array.from({ length: devices }, (_, n) => `u${n}`)
    const topics = ['room:a', 'room:b', 'room:c', ...users.map((user) => `user:${user}`), 'user:twice']

    const url = () => server.url
    const travellers = await Promise.all(
      users.map(async (user) => new Traveller({ url, user, token: await server.token({ user, device: 'd' }), chance })),
    )
    await Promise.all(travellers.map((traveller) => traveller.hop('websocket')))
    const publishing = publisher.run(topics, perSecond, stop.signal)
    const [answers] = await Promise.all([
      pollTwice({ url, token: await server.token({ user: 'twice', device: 'd' }) }, parallel, chance),
      ...travellers.map(async (traveller) => {
        for (let n = 0; n < hops; n++) await traveller.hop(chance.pick(TRANSPORTS))
      }),
    ])
    let killing = kills
    await Promise.all([
      (async () => {
        for (; killing > 0; killing--) {
          await Bun.sleep(chance.below(400))
          await server.kill()
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
    for (const traveller of travellers) cleanup.defer(() => traveller.stop())
    await Promise.all(travellers.map((traveller) => traveller.hop('poll')))
    await until(() => travellers.every(({ app }) => app.position >= last))

    const apps = travellers.map(({ app }) => app)
    holds(ledger, apps)
    const twice = new Application('twice')
    for (const key of answers) {
      const attempt = ledger.get(key)
      must(attempt !== undefined, `nobody published ${key}`)
      twice.take({ key, topic: 'user:twice', cursor: attempt.cursor, id: attempt.id })
    }
    must(twice.duplicates === 0, `${twice.duplicates} messages came to both of two polls`)
    const expected = [...ledger.all()].filter(({ topic, cursor }) => topic === 'user:twice' && cursor <= twice.position)
    must(twice.got.length === expected.length, `two polls got ${twice.got.length} of ${expected.length} messages`)
    const welcomeMs = travellers.flatMap((traveller) => traveller.welcomeMs)
    return {
      published: ledger.count('ok'),
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
      hops: welcomeMs.length,
      again_on_the_wire: apps.reduce((sum, { duplicates }) => sum + duplicates, 0),
      to_two_polls: twice.got.length,
      welcome_p99_ms: percentile(welcomeMs, 99),
    }
  },
}
