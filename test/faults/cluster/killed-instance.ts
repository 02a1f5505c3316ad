import { payloadOf } from '../../support/payload.ts'
import { until } from '../../support/until.ts'
import { type Fault, must, none } from '../fault.ts'
import { Hearing } from '../hearing.ts'
import type { FaultServer } from '../server.ts'
import { Told } from '../told.ts'
import { FaultCluster } from './cluster.ts'
import { Crowd, type CrowdSize } from './crowd.ts'

interface Size extends CrowdSize {
  /** Users who were with the instance that dies, and do not come back. */
  readonly lost: number
  readonly kills: number
}

const PER_USER = 3
/** The lease: so long a dead instance is taken for alive. */
const LEASE_MS = 15_000
/** Milliseconds for the look that finds it over, and for taking out its connections, on a machine that has much else to do. */
const SWEEPING_MS = 45_000

export const killedInstance: Fault<Size> = {
  number: 2,
  title:
    'one of three instances is killed: its clients go on elsewhere, retried publishes appear once, and who is there and how many may come is right again',
  short: { devices: 18, publishers: 3, rooms: 4, perSecond: 100, lost: 5, kills: 1 },
  long: { devices: 3000, publishers: 20, rooms: 750, perSecond: 2000, lost: 100, kills: 3 },

  async run({ lost, kills, ...size }, chance, progress) {
    await using cluster = await FaultCluster.start({ config: { limits: { per_user: PER_USER } } })
    await using crowd = await Crowd.gather({ ...size, cluster, chance, url: () => cluster.next() })
    await using cleanup = new AsyncDisposableStack()
    // One for each kill: who came back after the last may die with the next, unseen by those who watch from now on.
    let lobby = ''
    const come = async (server: FaultServer, user: string, told?: Told): Promise<Hearing> => {
      const hearing = await Hearing.open('websocket', {
        url: server.url,
        token: await server.token({ user }),
        query: { rooms: lobby },
        ...(told && { onFrame: (frame) => told.hear(frame) }),
      })
      cleanup.defer(() => hearing.cut())
      return hearing
    }
    crowd.start()
    const sweptMs: number[] = []
    for (let n = 0; n < kills; n++) {
      progress(`kill ${n + 1} of ${kills}`)
      lobby = `lobby${n}`
      const victim = cluster.at(n).server
      const survivors = cluster.servers.filter((server) => server !== victim)
      const told = survivors.map(() => new Told())
      const watchers = await Promise.all(
        survivors.map((server, place) => come(server, `watcher${n}-${place}`, told[place])),
      )
      const users = Array.from({ length: lost }, (_, place) => `lost${n}-${place}`)
      // The first has all the connections that he may have, and one comes back at once, by another instance.
      const [full, returning] = users as [string, string]
      await Promise.all(users.map((user) => come(victim, user)))
      for (let more = 1; more < PER_USER; more++) await come(victim, full)
      await until(() => told.every(({ here }) => users.every((user) => here.has(user))))
      await crowd.stored(100)

      await victim.kill()
      const killed = performance.now()
      const [survivor] = survivors as [FaultServer]
      must(await isRefused(() => come(survivor, full)), `${full} has more connections than he may have`)
      await come(survivor, returning)
      const gone = users.filter((user) => user !== returning)
      const untold = () =>
        told.flatMap(({ here }, place) =>
          gone.filter((user) => here.has(user)).map((user) => `${user}, by survivor ${place}`),
        )
      await until(() => untold().length === 0, LEASE_MS + SWEEPING_MS).catch(() =>
        none('not told that somebody is gone', untold()),
      )
      sweptMs.push(Math.round(performance.now() - killed))
      for (const [place, { lost, here, breaches }] of told.entries()) {
        none('told of who is there', breaches)
        none(
          'not told once that its instance died',
          gone.filter((user) => lost.get(user) !== 1).map((user) => `${user}: ${lost.get(user)} times`),
        )
        must(here.has(returning) && !lost.has(returning), `${returning}, who came back, is taken for lost`)
        const state = await watchers[place]?.ask({ type: 'get_room_state', payload: { room: lobby } })
        const { participants } = state === undefined ? { participants: [] } : payloadOf(state)
        const listed = (participants as { id: string }[]).map(({ id }) => id)
        none(
          'listed though they are gone',
          gone.filter((user) => listed.includes(user)),
        )
      }
      for (let more = 0; more < PER_USER; more++) await come(survivor, full)
      must(await isRefused(() => come(survivor, full)), `${full} has more connections than he may have`)
      await victim.start()
      await crowd.stored(50)
    }
    progress('everybody gets everything')
    await crowd.settle()
    crowd.check()
    crowd.missedNothing()
    const retried = crowd.publishers.reduce((sum, publisher) => sum + publisher.retried, 0)
    return { ...crowd.figures(), retried, swept_ms: sweptMs.join(', ') }
  },
}

async function isRefused(come: () => Promise<Hearing>): Promise<boolean> {
  return await come().then(
    () => false,
    () => true,
  )
}
