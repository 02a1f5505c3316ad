import type { Case, Measured, Metric } from '../case.ts'
import { isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'
import { median } from '../statistics.ts'

/** Rooms whose names begin with a `k` keep messages. */
const RULES =
  '--rooms=[{"pattern":"k*","publish":"any","history":{"max_messages":1000}},{"pattern":"*","publish":"any"}]'

/** Milliseconds that the way to another instance may add to the way within one. */
const ADDED_MS = 1

const KINDS = { kept: 'stored', live: 'stored nowhere' } as const
type Kind = keyof typeof KINDS

/**
 * One message at a time from a client of the first instance, in turn to a room whose member is there too and to one
 * whose member is at the last instance, stored and not: what disturbs one disturbs the others.
 */
async function run(load: Load): Promise<Measured> {
  await load.warmUp()
  const [first, ...others] = load.task.servers
  const places = [{ name: 'here', server: first }, ...others.slice(-1).map((server) => ({ name: 'there', server }))]
  const [sender] = await load.open(1)
  if (sender === undefined) throw new Error('no client')
  const ways: (() => Promise<void>)[] = []
  const found: Record<string, number[]> = {}
  for (const { name, server } of places) {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      const room = `${kind}-${name}`
      const options = { rooms: () => [room], ...(server && { server }) }
      const [member] = await load.open(1, options)
      const publisher = new Publisher(sender, room, 1, ways.length * 10_000_000)
      const samples: number[] = []
      found[`${kind}_${name}`] = samples
      ways.push(async () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        load.onFrame = (client, signature) => {
          if (client === member && isMessage(signature)) resolve()
        }
        const start = performance.now()
        publisher.send(1)
        await promise
        samples.push(performance.now() - start)
        // The next message begins in a turn of its own, when its acknowledgement is out too.
        await Bun.sleep(2)
      })
    }
  }
  const messages = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) for (const way of ways) await way()
  }

  await load.settle()
  await load.until(messages(load.size(1000, 200)), 'the warm-up messages')
  for (const samples of Object.values(found)) samples.length = 0
  await load.measure(() => messages(load.size(1000, 300)), 'messages')
  const added = (kind: Kind): number => median(found[`${kind}_there`] ?? []) - median(found[`${kind}_here`] ?? [])
  return { ...found, ...(places.length > 1 && { kept_added: added('kept'), live_added: added('live') }) }
}

function metrics(): Metric[] {
  const ms = { unit: 'ms', better: 'less' } as const
  return (Object.keys(KINDS) as Kind[]).flatMap((kind): Metric[] => [
    ...[0.5, 0.99].flatMap((quantile) => [
      { ...ms, key: `${kind}_here`, quantile, title: `${KINDS[kind]}, within an instance, p${quantile * 100}` },
      { ...ms, key: `${kind}_there`, quantile, title: `${KINDS[kind]}, to another instance, p${quantile * 100}` },
    ]),
    { ...ms, key: `${kind}_added`, title: `${KINDS[kind]}, added by the way, p50`, target: { atMost: ADDED_MS } },
  ])
}

export const clusterLatency: Case = {
  name: 'cluster-latency',
  title: 'one message at a time, until a member has it',
  sides: [
    { name: 'one process', flags: [RULES] },
    { name: 'two instances', flags: [RULES], instances: 2 },
  ],
  metrics: metrics(),
  run,
}
