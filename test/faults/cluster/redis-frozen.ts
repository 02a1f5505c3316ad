import type { Fault } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'
import { Whispers } from './whispers.ts'

interface Size extends CrowdSize {
  readonly times: number
  /** Milliseconds for which Redis stands still. */
  readonly frozenMs: number
}

export const redisFrozen: Fault<Size> = {
  number: 8,
  title: 'Redis stands still and goes on: publishes fail fast, and afterwards everybody has everything',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, times: 1, frozenMs: 3500 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, times: 3, frozenMs: 15_000 },

  async run({ times, frozenMs, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    using pair = await Whispers.open(cluster.at(1).server)
    crowd.start()
    for (let n = 0; n < times; n++) {
      progress(`time ${n + 1} of ${times}`)
      await crowd.stored(50)
      cluster.redis.freeze()
      const still = Bun.sleep(frozenMs)
      await cluster.degraded()
      await pair.goOn(20)
      await still
      cluster.redis.thaw()
      await cluster.ready()
    }
    await crowd.stored(50)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    crowd.missedNothing()
    return crowd.figures()
  },
}
