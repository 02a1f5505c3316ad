import type { Fault } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  readonly times: number
  readonly everyMs: number
}

export const subscribersKilled: Fault<Size> = {
  number: 8,
  title:
    'the connections by which instances hear are killed again and again: what was said meanwhile is read from the log',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, times: 8, everyMs: 150 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, times: 100, everyMs: 2000 },

  async run({ times, everyMs, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    crowd.start()
    for (let n = 0; n < times; n++) {
      progress(`time ${n + 1} of ${times}`)
      await cluster.redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      // Now and then commands too: then it is not known either what became of the last publishes.
      if (n % 4 === 3) await cluster.redis.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await Bun.sleep(everyMs)
    }
    await crowd.stored(50)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    crowd.missedNothing()
    return crowd.figures()
  },
}
