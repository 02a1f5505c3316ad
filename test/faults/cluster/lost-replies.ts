import { until } from '../../support/until.ts'
import type { Fault } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  readonly replies: number
}

/** What only the script that stores carries. */
const PUBLISH = /evalsha[\s\S]*"key"/i

export const lostReplies: Fault<Size> = {
  number: 8,
  title:
    'the reply to the script that publishes is lost many times: each message is stored once, and its publisher told so',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, replies: 30 },
  long: { devices: 60, publishers: 6, rooms: 10, perSecond: 1000, replies: 1000 },

  async run({ replies, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    crowd.start()
    await crowd.stored(50)
    for (let n = 0; n < replies; n++) {
      progress(`reply ${n + 1} of ${replies}`)
      const { toRedis } = cluster.at(n)
      const dropped = toRedis.repliesDropped
      toRedis.dropReplyTo(PUBLISH)
      await until(() => toRedis.repliesDropped > dropped)
    }
    await crowd.stored(50)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    crowd.missedNothing()
    return {
      ...crowd.figures(),
      replies_lost: cluster.members.reduce((sum, { toRedis }) => sum + toRedis.repliesDropped, 0),
    }
  },
}
