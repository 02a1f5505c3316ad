import type { Case, Measured, Metric } from '../case.ts'
import { isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'

/** One message to a room, the next when the last member has it: the time from the write to the last byte. */
function fanout(members: number, messages: number, quickMessages: number, target: number): Case {
  return {
    name: `fanout-${members}`,
    title: `one message to a room of ${members.toLocaleString('en')}`,
    metrics: timesToLast(members, target),
    run: (load) => timeToLast(load, members, load.size(messages, quickMessages)),
  }
}

/** The percentiles of {@link timeToLast}, with how fast the median has to be beside the reference. */
export function timesToLast(members: number, target: number): Metric[] {
  const metric = (title: string, quantile: number) => ({
    key: 'last_ms',
    quantile,
    title: `to the last of ${members.toLocaleString('en')}, ${title}`,
    unit: 'ms',
    better: 'less' as const,
  })
  return [{ ...metric('p50', 0.5), target: { ratio: target } }, metric('p95', 0.95), metric('p99', 0.99)]
}

/** Messages before the measured ones: what is done once per broadcast of this size. */
const WARM_UP = 10

export async function timeToLast(load: Load, members: number, messages: number): Promise<Measured> {
  await load.warmUp()
  const rooms = () => ['bench']
  await load.open(members, { rooms })
  const [sender] = await load.open(1, { rooms, transport: 'websocket' })
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, 'bench', 1)
  let missing = 0
  let bytes = 0
  let arrived = (): void => {}
  load.onFrame = (_, signature, size) => {
    if (!isMessage(signature)) return
    bytes = size
    if (--missing === 0) arrived()
  }
  const once = async (): Promise<number> => {
    missing = members
    const done = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const start = performance.now()
    publisher.send(1)
    await done
    return performance.now() - start
  }

  await load.settle()
  for (let i = 0; i < WARM_UP; i++) await load.until(once(), 'a warm-up message')
  const samples: number[] = []
  await load.measure(async () => {
    for (let i = 0; i < messages; i++) {
      samples.push(await once())
      // The next message begins in a turn of its own, when the server has finished with this one.
      await Bun.sleep(1)
    }
  }, 'the last member')
  return { last_ms: samples, operations: messages * members, frame_bytes: bytes }
}

export const fanoutThousand = fanout(1000, 200, 60, 0.9)
export const fanoutTenThousand = fanout(10_000, 40, 15, 0.9)
