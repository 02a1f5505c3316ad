import type { RedisServer } from '../../kit/redis.ts'
import type { Fault } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'
import { Whispers } from './whispers.ts'

interface Size extends CrowdSize {
  /** How often each refusal begins and ends. */
  readonly times: number
  /** How often the scripts are flushed. */
  readonly flushes: number
}

/** Ways in which Redis answers and takes no writes. */
const REFUSALS: readonly { begin(redis: RedisServer): Promise<unknown>; end(redis: RedisServer): Promise<unknown> }[] =
  [
    {
      begin: ({ admin }) => admin.config('SET', 'maxmemory', '1'),
      end: ({ admin }) => admin.config('SET', 'maxmemory', '0'),
    },
    {
      // Of a primary that is not there: what it has stays, and nothing is taken.
      begin: ({ admin }) => admin.replicaof('127.0.0.1', 1),
      end: ({ admin }) => admin.replicaof('NO', 'ONE'),
    },
  ]

export const refusing: Fault<Size> = {
  number: 8,
  title:
    'Redis has no memory left, becomes read-only, forgets its scripts: publishes are refused for the moment and nothing is lost',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, times: 1, flushes: 10 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, times: 10, flushes: 500 },

  async run({ times, flushes, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    using pair = await Whispers.open(cluster.at(0).server)
    crowd.start()
    for (let n = 0; n < flushes; n++) {
      progress(`scripts flushed ${n} times of ${flushes}`)
      await crowd.stored(20)
      await cluster.redis.admin.script('FLUSH')
    }
    for (let n = 0; n < times * REFUSALS.length; n++) {
      progress(`refusal ${n + 1} of ${times * REFUSALS.length}`)
      const refusal = REFUSALS[n % REFUSALS.length]
      await crowd.stored(50)
      await refusal?.begin(cluster.redis)
      await cluster.degraded()
      await pair.goOn(20)
      await refusal?.end(cluster.redis)
      await cluster.ready()
    }
    await crowd.stored(100)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    crowd.missedNothing()
    return crowd.figures()
  },
}
