import { FaultProxy } from '../kit/fault-proxy.ts'
import { type Fault, must } from './fault.ts'
import { FOR_OWN_DEVICES, OwnDevices } from './own-devices.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly messages: number
  readonly cuts: number
  readonly kills: number
}

export const offlineStore: Fault<Size> = {
  number: 10,
  title:
    'five devices of one user are cut, and the server is killed, while it stores and while it syncs: each gets each message once, in order',
  short: { messages: 400, cuts: 60, kills: 2 },
  long: { messages: 1000, cuts: 300, kills: 10 },

  async run({ messages, cuts, kills }, chance, progress) {
    const durability = chance.pick(['process', 'full'] as const)
    await using server = await FaultServer.start({
      config: { ...FOR_OWN_DEVICES, store: { durability }, drain: { window_ms: 50 } },
    })
    await using cleanup = new AsyncDisposableStack()
    // A way of its own for each device.
    const ways: FaultProxy[] = []
    for (let n = 0; n < OwnDevices.count; n++) ways.push(cleanup.use(await FaultProxy.start(server.url)))
    await using own = await OwnDevices.start({
      chance,
      server,
      url: (n) => (ways[n] as FaultProxy).url,
      publisherUrl: () => server.url,
    })
    const lastsMs = OwnDevices.durationMs(messages)

    const cutting = (async () => {
      for (let n = 0; n < cuts; n++) {
        progress(`cut ${n + 1} of ${cuts}`)
        const device = chance.pick(own.devices)
        const way = ways[own.devices.indexOf(device)] as FaultProxy
        if (chance.below(5) === 0) for (const each of ways) each.cut()
        // A library that lives on would answer a ping for an application that is gone: what it had been sent counts as processed.
        else if (device.options.name !== 'glasses' && chance.below(4) === 0) device.abandon()
        else if (chance.below(2) === 0) {
          way.set({ cutAfterBytes: 1 + chance.below(5000) })
          setTimeout(() => way.set({ cutAfterBytes: 0 }), chance.below(200))
        } else way.cut()
        await Bun.sleep(lastsMs / cuts)
      }
    })()
    const killing = (async () => {
      for (let n = 0; n < kills; n++) {
        await Bun.sleep(chance.below((lastsMs / kills) * 2))
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
    await Promise.all([own.publish(messages), cutting, killing])
    for (const way of ways) way.heal()
    await own.settle()
    // Without a cursor in the address the inbox goes on from what was acknowledged, which may be behind.
    const again = own.cameAgain(true)
    must(again === 0, `${again} messages came again to devices that named their cursor`)
    return { durability, ...own.figures(), again_without_a_cursor: own.cameAgain(false) }
  },
}
