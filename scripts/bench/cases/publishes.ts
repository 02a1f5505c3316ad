import type { Case, Measured } from '../case.ts'
import type { Client } from '../client.ts'
import { echoes, noticed } from '../echoes.ts'
import { ACK } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'
import { STORED_OR_NOT } from './stored-fanout.ts'

export const PUBLISHERS = 200
/** Messages of one publisher that are not acknowledged yet. */
export const IN_FLIGHT = 16
/** One of so many times is kept: hundreds of thousands would tell the same. */
export const SAMPLED = 64
/** The rooms that one publisher writes to in turn, where there are many. */
const ROOMS_EACH = 5
/** Messages a second of the second part, where the server has time to spare. */
const PACE = 2000
const PACE_EVERY_MS = 5

/** A publisher and when it sent what is not acknowledged yet, oldest first: acknowledgements come in order. */
export class Sender {
  readonly asked: number[] = []
  readonly #rooms: Publisher[]
  #turn = 0

  constructor(client: Client, rooms: readonly string[]) {
    // Ids are remembered for each device: those of its rooms must not meet.
    this.#rooms = rooms.map((room, n) => new Publisher(client, room, IN_FLIGHT, n * 10_000_000))
  }

  send(count: number): void {
    const now = performance.now()
    for (let i = 0; i < count; i++) this.asked.push(now)
    this.#rooms[this.#turn++ % this.#rooms.length]?.send(count)
  }
}

/** Publishers outside of any room, so that nothing is measured but the way to the log and back. */
async function run(load: Load, rooms: number): Promise<Measured> {
  await load.warmUp()
  const clients = await load.open(PUBLISHERS)
  const name = (room: number): string => `r${String(room).padStart(4, '0')}`
  const senders = clients.map((client, i) => {
    client.group = i
    const own = rooms === 1 ? [name(0)] : Array.from({ length: ROOMS_EACH }, (_, n) => name(i * ROOMS_EACH + n))
    return new Sender(client, own)
  })
  let acks = 0
  let running = true
  let samples: number[] = []
  load.onFrame = (client, signature) => {
    const sent = signature === ACK ? senders[client.group]?.asked.shift() : undefined
    if (sent === undefined) return
    if (acks++ % SAMPLED === 0 || !running) samples.push(performance.now() - sent)
    client.waiting++
  }
  load.onChunk = (client) => {
    const count = client.waiting
    client.waiting = 0
    if (running && count > 0) senders[client.group]?.send(count)
  }

  for (const sender of senders) sender.send(IN_FLIGHT)
  await load.until(Bun.sleep(load.size(3000, 1000)), 'warm-up')
  const from = acks
  samples = []
  const others = await load.measure(() => load.assistant(), 'publishes')
  const done = acks - from
  const full = samples
  running = false
  await load.until(allAnswered(senders), 'the last acknowledgements')
  samples = []
  await load.until(paced(senders, load.size(4000, 1500)), 'paced publishes')
  return { ...others, publishes: done / load.usage.seconds, operations: done, ack_ms: full, paced_ms: samples }
}

export async function allAnswered(senders: readonly Sender[]): Promise<void> {
  while (senders.some(({ asked }) => asked.length > 0)) await Bun.sleep(10)
}

/** Messages at a fixed pace, one publisher after the other, whether they are answered or not. */
export async function paced(senders: readonly Sender[], ms: number): Promise<void> {
  const started = performance.now()
  for (let turn = 0; ; ) {
    const elapsed = performance.now() - started
    if (elapsed > ms) break
    for (const due = (elapsed * PACE) / 1000; turn < due; turn++) senders[turn % senders.length]?.send(1)
    await Bun.sleep(PACE_EVERY_MS)
  }
  await allAnswered(senders)
}

async function assist(load: Load): Promise<Measured> {
  return await echoes(load, () => Bun.sleep(load.size(8000, 2000)))
}

function publishes(rooms: number): Case {
  const ms = (key: string, title: string, quantile: number) =>
    ({ key, quantile, title, unit: 'ms', better: 'less' }) as const
  return {
    name: `publishes-${rooms}`,
    title: `200 publishers, 16 messages of each in flight, into ${rooms === 1 ? 'one room' : `${rooms.toLocaleString('en')} rooms`} without members`,
    sides: STORED_OR_NOT,
    metrics: [
      { key: 'publishes', title: 'acknowledged per second', unit: '/s', better: 'more', target: { atLeast: 50_000 } },
      ms('ack_ms', 'to the acknowledgement, p50', 0.5),
      ms('ack_ms', 'to the acknowledgement, p99', 0.99),
      ms('paced_ms', 'to the acknowledgement at 2,000 a second, p50', 0.5),
      ms('paced_ms', 'to the acknowledgement at 2,000 a second, p99', 0.99),
      ...noticed(),
    ],
    run: (load) => run(load, rooms),
    assist,
  }
}

export const publishesToOne = publishes(1)
export const publishesToThousand = publishes(1000)
