import type { Case, Measured } from '../case.ts'
import type { Client } from '../client.ts'
import { ACK, MESSAGE } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'

const ROOMS = 1000
/** The sender is one of them: nine deliveries and an acknowledgement for each publish. */
const MEMBERS = 10
/** Rooms that have a message on its way at a time. */
const IN_FLIGHT = 128

async function run(load: Load): Promise<Measured> {
  await load.warmUp()
  const name = (room: number): string => `r${String(room).padStart(4, '0')}`
  const clients = await load.open(ROOMS * MEMBERS, { rooms: (i) => [name(i % ROOMS)] })
  clients.forEach((client, i) => {
    client.group = i % ROOMS
  })
  const publishers = clients.slice(0, ROOMS).map((client, room) => new Publisher(client, name(room), 1))
  /** Frames that a room still waits for, the acknowledgement among them. */
  const missing = new Uint8Array(ROOMS)
  let published = 0
  let bytes = 0
  let turn = 0
  let running = true
  const next = (): void => {
    const room = turn
    turn = (turn + 1) % ROOMS
    missing[room] = MEMBERS
    publishers[room]?.send(1)
  }
  load.onFrame = (client: Client, signature, size) => {
    if (signature === MESSAGE) bytes = size
    else if (signature !== ACK) return
    const left = (missing[client.group] ?? 0) - 1
    missing[client.group] = left
    if (left > 0) return
    published++
    if (running) next()
  }

  await load.settle()
  for (let i = 0; i < IN_FLIGHT; i++) next()
  await load.until(Bun.sleep(load.size(1500, 700)), 'warm-up')
  const from = published
  await load.measure(() => Bun.sleep(load.size(4000, 1500)), 'publishes')
  const done = published - from
  running = false
  return { publishes: done / load.usage.seconds, operations: done, frame_bytes: bytes }
}

export const rooms: Case = {
  name: 'rooms',
  title: '1,000 rooms of 10, 128 messages in flight',
  metrics: [{ key: 'publishes', title: 'publishes per second', unit: '/s', better: 'more' }],
  run,
}
