import type { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { type Fault, none } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  /** Keys that Redis throws away under each policy, at least. */
  readonly evicted: number
}

/** Bytes that Redis may have beside what it has at the start. */
const ROOM_BYTES = 1024 * 1024
/** What has not been used for a while, and whatever chance finds: the lists of who is there and the log itself. */
const POLICIES = ['allkeys-lru', 'allkeys-random'] as const
/** The code of a connection that its client has cut. */
const CUT = 1006
/** Bytes of other people's data that push out ours. */
const BALLAST_BYTES = 16 * 1024

export const evicting: Fault<Size> = {
  number: 8,
  title:
    'Redis evicts whatever it likes: who is connected goes on hearing everything, and whoever may have missed something is told',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 150, evicted: 100 },
  long: { devices: 60, publishers: 6, rooms: 20, perSecond: 1000, evicted: 5000 },

  async run({ evicted, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start()
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    crowd.start()
    await crowd.stored(100)
    for (const policy of POLICIES) {
      progress(policy)
      await evict(cluster.redis, policy, evicted, () => chance.pick(crowd.devices).reset())
    }
    await cluster.ready()
    await crowd.stored(100)
    await crowd.settle()
    crowd.check()
    none(
      'sent away',
      crowd.devices
        .filter(({ closes }) => [...closes.keys()].some((code) => code !== CUT))
        .map(({ app, closes }) => `${app.name}: ${[...closes.keys()]}`),
    )
    return { ...crowd.figures(), evicted: await evictionsOf(cluster.redis) }
  },
}

/** Lets Redis throw away so many keys. @param meanwhile called now and then. */
async function evict(redis: RedisServer, policy: string, count: number, meanwhile: () => void): Promise<void> {
  const { admin } = redis
  const used = Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1])
  const enough = (await evictionsOf(redis)) + count
  await admin.config('SET', 'maxmemory-policy', policy)
  await admin.config('SET', 'maxmemory', String(used + ROOM_BYTES))
  const ballast = 'x'.repeat(BALLAST_BYTES)
  let written = 0
  await until(async () => {
    await admin.set(`ballast:${policy}:${written++}`, ballast)
    if (written % 20 === 0) meanwhile()
    return (await evictionsOf(redis)) >= enough
  })
  await admin.config('SET', 'maxmemory', '0')
  await admin.eval("for _, key in ipairs(redis.call('KEYS', 'ballast:*')) do redis.call('DEL', key) end", 0)
}

async function evictionsOf({ admin }: RedisServer): Promise<number> {
  return Number(/^evicted_keys:(\d+)/m.exec(await admin.info('stats'))?.[1])
}
