import type { Case, Measured } from '../case.ts'
import { ACK, isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'

const MEMBERS = 1000
/** Messages that are not acknowledged yet. */
const IN_FLIGHT = 32
/** Messages that not all members have: a bound so that no socket's buffer fills, wide enough not to set the pace. */
const BEHIND = 8 * IN_FLIGHT

/**
 * One publisher with 32 messages in flight to 1,000 members.
 * @param meanwhile what else goes on after the measured part, with the load still running.
 */
export async function throughput(load: Load, meanwhile?: () => Promise<Measured>): Promise<Measured> {
  await load.warmUp()
  const rooms = () => ['bench']
  await load.open(MEMBERS, { rooms })
  const [sender] = await load.open(1, { rooms, transport: 'websocket' })
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, 'bench', IN_FLIGHT)
  let sent = 0
  let acks = 0
  let delivered = 0
  let bytes = 0
  let running = true
  load.onFrame = (_, signature, size) => {
    if (isMessage(signature)) {
      delivered++
      bytes = size
    } else if (signature === ACK) acks++
  }
  const publish = (): void => {
    const room = Math.min(IN_FLIGHT - (sent - acks), BEHIND - (sent - Math.floor(delivered / MEMBERS)))
    // Half a window at least goes out at once: single frames would make the server flush after each.
    if (!running || room < IN_FLIGHT / 2) return
    sent += room
    publisher.send(room)
  }

  await load.settle()
  load.onChunk = publish
  publish()
  await load.until(Bun.sleep(load.size(1500, 700)), 'warm-up')
  const from = { delivered, acks }
  await load.measure(() => Bun.sleep(load.size(4000, 1500)), 'deliveries')
  const done = { delivered: delivered - from.delivered, acks: acks - from.acks }
  const more = await meanwhile?.()
  running = false
  return {
    ...more,
    deliveries: done.delivered / load.usage.seconds,
    operations: done.delivered,
    frame_bytes: bytes,
  }
}

export const DELIVERIES = { key: 'deliveries', title: 'deliveries per second', unit: '/s', better: 'more' } as const

export const deliveries: Case = {
  name: 'deliveries',
  title: '1,000 members, 32 messages in flight',
  metrics: [{ ...DELIVERIES, target: { ratio: 0.9 } }],
  run: (load) => throughput(load),
}
