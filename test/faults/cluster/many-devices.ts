import { FaultProxy } from '../../kit/fault-proxy.ts'
import type { Fault } from '../fault.ts'
import { FOR_OWN_DEVICES, OwnDevices } from '../own-devices.ts'
import { FaultCluster } from './cluster.ts'

interface Size {
  readonly messages: number
  readonly cuts: number
  /** How often an instance is killed and started again meanwhile. */
  readonly kills: number
}

export const manyDevices: Fault<Size> = {
  number: 10,
  title:
    'five devices of one user on three instances are cut, and instances die: each gets each message once, in order',
  short: { messages: 300, cuts: 30, kills: 1 },
  long: { messages: 1000, cuts: 300, kills: 10 },

  async run({ messages, cuts, kills }, chance, progress) {
    await using cluster = await FaultCluster.start({ config: FOR_OWN_DEVICES })
    await using cleanup = new AsyncDisposableStack()
    // Between clients and each instance, to be cut.
    const ways: FaultProxy[] = []
    for (const server of cluster.servers) ways.push(cleanup.use(await FaultProxy.start(server.url)))
    const anyWay = () => chance.pick(ways).url
    await using own = await OwnDevices.start({ chance, server: cluster, url: anyWay, publisherUrl: anyWay })
    const lastsMs = OwnDevices.durationMs(messages)

    const cutting = (async () => {
      for (let n = 0; n < cuts; n++) {
        progress(`cut ${n + 1} of ${cuts}`)
        const device = chance.pick(own.devices)
        const way = chance.below(6)
        if (way === 0) chance.pick(ways).cut()
        // A library that lives on would answer a ping for an application that is gone.
        else if (way === 1 && device.options.name !== 'glasses') device.abandon()
        else if (way === 2) device.hangUp()
        else device.reset()
        await Bun.sleep(lastsMs / cuts)
      }
    })()
    const killing = (async () => {
      for (let n = 0; n < kills; n++) {
        const { server } = chance.pick(cluster.members)
        await Bun.sleep(chance.below((lastsMs / kills) * 2))
        await server.kill()
        await Bun.sleep(chance.below(200))
        await server.start()
      }
    })()
    await Promise.all([own.publish(messages), cutting, killing])
    await own.settle()
    return { ...own.figures(), again_on_the_wire: own.cameAgain(true) + own.cameAgain(false) }
  },
}
