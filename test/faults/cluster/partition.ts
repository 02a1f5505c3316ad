import { type Fault, must } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'
import { Whispers } from './whispers.ts'

interface Size extends CrowdSize {
  /** Milliseconds for which nothing of one instance reaches Redis, nor the other way: past 15,000 its lease is over. */
  readonly partedMs: number
}

export const partition: Fault<Size> = {
  number: 8,
  title:
    'a black hole parts one instance from Redis: the others notice nothing, and its own clients get everything later',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, partedMs: 3500 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, partedMs: 60_000 },

  async run({ partedMs, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    const { server, toRedis } = cluster.at(2)
    using pair = await Whispers.open(server)
    crowd.start()
    await crowd.stored(50)
    toRedis.set({ blackHole: 'both' })
    const parted = Bun.sleep(partedMs)
    progress('parted')
    await cluster.degraded([server])
    await pair.goOn(20)
    await crowd.stored(200)
    await parted
    const others = await Promise.all([cluster.at(0), cluster.at(1)].map(({ server }) => server.readiness()))
    must(
      others.every((state) => state === 'ready'),
      `the others were ${others.join(' and ')}`,
    )
    progress('healed')
    toRedis.heal()
    await cluster.ready()
    await crowd.stored(50)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    crowd.missedNothing()
    return { ...crowd.figures(), swallowed_bytes: toRedis.swallowed }
  },
}
