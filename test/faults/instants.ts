import { until } from '../support/until.ts'
import { holds, Ledger } from './accounting.ts'
import { Device } from './device.ts'
import { type Fault, must, none } from './fault.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly times: number
  /** Devices that come and go at the same time, each of its own user. */
  readonly devices: number
}

/** Milliseconds around the instant. */
const AROUND_MS = 3

export const instants: Fault<Size> = {
  number: 10,
  title: 'a message published in the very moment of a connect or a disconnect is never missed and never comes twice',
  short: { times: 500, devices: 10 },
  long: { times: 20_000, devices: 20 },

  async run({ times, devices }, chance) {
    await using server = await FaultServer.start({ config: { inbox: { max_messages: 100_000 } } })
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const token = await server.token({ user: 'publisher', device: 'p', roles: ['admin'] })
    const publisher = new Publisher({ name: 'p', url: () => server.url, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()

    let left = times
    const one = async (n: number): Promise<Device> => {
      const user = `u${n}`
      const device = new Device({
        name: user,
        user,
        url: () => server.url,
        token: await server.token({ user, device: 'd' }),
        rooms: ['lobby'],
        takesOver: n % 2 === 0,
        // It comes back at once, and is met by a message.
        pauseMs: () => {
          publishSoon(user)
          return chance.below(AROUND_MS)
        },
      })
      device.app.expect(`user:${user}`, 0)
      cleanup.defer(() => device.stop())
      await device.start()
      while (left-- > 0) {
        publishSoon(user)
        await Bun.sleep(chance.below(AROUND_MS))
        const { connects } = device
        // In peace, by a reset, or not at all: the new connection takes the place of one that is still there.
        const way = chance.below(3)
        if (way === 0) device.hangUp()
        else if (way === 1) device.reset()
        else device.abandon()
        await until(() => device.connects > connects && device.isOpen)
      }
      return device
    }
    const publishSoon = (user: string): void => {
      const topic = chance.below(2) === 0 ? `user:${user}` : 'room:lobby'
      setTimeout(() => publisher.publish(topic), chance.below(AROUND_MS))
    }
    const all = await Promise.all(Array.from({ length: devices }, (_, n) => one(n)))
    await Bun.sleep(AROUND_MS)
    await publisher.settled()
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(all.map((device) => device.reaches(last)))

    const apps = all.map(({ app }) => app)
    holds(ledger, apps)
    none(
      'sent out of order',
      all.flatMap(({ breaches }) => breaches),
    )
    const again = apps.reduce((sum, { duplicates }) => sum + duplicates, 0)
    must(again === 0, `${again} messages came twice`)
    must(
      all.every(({ notRecovered }) => notRecovered === 0),
      'something was said to be missing that was not',
    )
    return {
      instants: all.reduce((sum, { connects }) => sum + connects, 0),
      published: ledger.count('ok'),
      delivered: apps.reduce((sum, { got }) => sum + got.length, 0),
    }
  },
}
