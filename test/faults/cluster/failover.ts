import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Device } from '../device.ts'
import { type Fault, none } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  /** Messages that the replica lacks, at least. */
  readonly lacking: number
}

export const failover: Fault<Size> = {
  number: 8,
  title:
    'a replica that lacks the newest messages takes over: whoever could have missed one is told, connected or away',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, lacking: 100 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, lacking: 100 },

  async run({ lacking, ...size }, chance) {
    await using cluster = await FaultCluster.start()
    await using replica = await RedisServer.start({ replicaOf: cluster.redis })
    await using crowd = await Crowd.gather({ ...size, cluster, chance })
    const travellers = await Promise.all([0, 1, 2].map((n) => traveller(cluster, n)))
    await using cleanup = new AsyncDisposableStack()
    for (const device of travellers) cleanup.defer(() => device.stop())
    crowd.start()
    await crowd.stored(50)
    await until(async () => (await cluster.redis.admin.info('replication')).includes('state=online'))
    await replica.admin.replicaof('NO', 'ONE')
    await crowd.stored(lacking)
    for (const device of travellers) device.leave()
    for (const { toRedis } of cluster.members) {
      toRedis.aim(replica.url)
      toRedis.cut()
    }
    await until(() => crowd.devices.every(({ gapsTold }) => gapsTold > 0))
    await cluster.ready()
    await crowd.stored(50)
    await crowd.settle()
    crowd.check()
    crowd.stayed()
    await Promise.all(travellers.map((device) => device.comeBack()))
    none(
      'away during the failover, and told that nothing is missing',
      travellers.filter(({ notRecovered }) => notRecovered === 0).map(({ app }) => app.name),
    )
    return crowd.figures()
  },
}

/** It leaves before the failover and comes back after it, with a position of which the replica may not know. */
async function traveller(cluster: FaultCluster, n: number): Promise<Device> {
  const user = `traveller${n}`
  const device = new Device({
    name: user,
    user,
    // To another instance each time.
    url: () => cluster.next(),
    token: await cluster.token({ user, device: 'd' }),
    rooms: ['r0'],
    resumesBy: n === 2 ? 'frame' : 'address',
    takesOver: n === 1,
  })
  await device.start()
  return device
}
