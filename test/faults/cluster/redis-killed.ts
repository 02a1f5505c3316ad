import type { Fault } from '../fault.ts'
import { must } from '../fault.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'
import { Whispers } from './whispers.ts'

interface Size extends CrowdSize {
  readonly kills: number
  /** Milliseconds for which Redis is away, at least: it comes back when everybody has noticed. */
  readonly awayMs: number
}

/** What it has answered it has on the disk. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

export const redisKilled: Fault<Size> = {
  number: 8,
  title: 'Redis is killed and started again under load, with its data or without: nobody has to connect again',
  short: { devices: 12, publishers: 3, rooms: 4, perSecond: 200, kills: 1, awayMs: 100 },
  long: { devices: 150, publishers: 10, rooms: 30, perSecond: 2000, kills: 10, awayMs: 5000 },

  async run({ kills, awayMs, ...size }, chance, progress) {
    const figures = await killed({ keeps: true })
    await killed({ keeps: false })
    return figures

    async function killed({ keeps }: { keeps: boolean }) {
      await using cluster = await FaultCluster.start({ redis: { args: keeps ? DURABLE : [] } })
      await using crowd = await Crowd.gather({ ...size, cluster, chance })
      using pair = await Whispers.open(cluster.at(0).server)
      crowd.start()
      for (let n = 0; n < kills; n++) {
        progress(`kill ${n + 1} of ${kills}, of a Redis ${keeps ? 'with' : 'without'} a disk`)
        await crowd.stored(50)
        await cluster.redis.kill()
        await cluster.degraded()
        await Promise.all([pair.goOn(20), Bun.sleep(awayMs)])
        await cluster.redis.run()
        await cluster.ready()
      }
      progress('everybody gets everything')
      await crowd.stored(50)
      await crowd.settle()
      crowd.check()
      crowd.stayed()
      if (keeps) crowd.missedNothing()
      else {
        const told = crowd.devices.filter(({ gapsTold }) => gapsTold > 0)
        must(told.length === crowd.devices.length, `${told.length} of ${crowd.devices.length} were told of the gap`)
      }
      return crowd.figures()
    }
  },
}
