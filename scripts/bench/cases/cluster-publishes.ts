import type { Case, Measured, Metric } from '../case.ts'
import { ACK, isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { allAnswered, IN_FLIGHT, PUBLISHERS, paced, SAMPLED, Sender } from './publishes.ts'
import { STORED_OR_NOT } from './stored-fanout.ts'

/** Rooms of each publisher, and members of each room where there are any. */
const ROOMS_EACH = 5
/**
 * Milliseconds before anything is measured. The runtime compiles in threads of its own, which share two cores with all
 * else here: five seconds after the start they take 31 % of a publishing instance's time, after 27 s 12 % (`perf`).
 */
const WARM_UP_MS = 25_000
/** What two publishing instances must get through one Redis. */
const STORED_TARGET = 30_000

/**
 * Publishers spread over the instances, into rooms of their own.
 * @param told the rooms have a member each, at another instance than their publisher where there is one.
 */
async function run(load: Load, told: boolean): Promise<Measured> {
  await load.warmUp()
  const { servers } = load.task
  const senders: Sender[] = []
  for (const [place, server] of servers.entries()) {
    const name = (publisher: number, room: number): string => `r${place}-${publisher}-${room}`
    const rooms = Array.from({ length: PUBLISHERS / servers.length }, (_, publisher) =>
      Array.from({ length: ROOMS_EACH }, (_, room) => name(publisher, room)),
    )
    const member = servers[(place + 1) % servers.length] ?? server
    if (told) await load.open(rooms.length, { rooms: (publisher) => rooms[publisher] ?? [], server: member })
    for (const [publisher, client] of (await load.open(rooms.length, { server })).entries()) {
      client.group = senders.length
      senders.push(new Sender(client, rooms[publisher] ?? []))
    }
  }
  let acks = 0
  let arrived = 0
  let running = true
  let samples: number[] = []
  load.onFrame = (client, signature) => {
    if (isMessage(signature)) arrived++
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
  await load.until(Bun.sleep(load.size(WARM_UP_MS, 2000)), 'warm-up')
  const from = { acks, arrived }
  samples = []
  await load.measure(() => Bun.sleep(load.size(8000, 3000)), 'publishes')
  const done = { acks: acks - from.acks, arrived: arrived - from.arrived }
  const full = samples
  running = false
  await load.until(allAnswered(senders), 'the last acknowledgements')
  samples = []
  await load.until(paced(senders, load.size(4000, 1500)), 'paced publishes')
  const { seconds } = load.usage
  return {
    publishes: done.acks / seconds,
    ...(told && { arrived: done.arrived / seconds }),
    operations: done.acks,
    ack_ms: full,
    paced_ms: samples,
  }
}

/** The allocator keeps what is freed within its pages, in place of giving it back to the system and asking for it again. */
const KEEPING = { MIMALLOC_PURGE_HOLES: '0' }

interface Form {
  readonly stored: boolean
  /** The rooms have members. */
  readonly told?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** Acknowledged per second. */
  readonly atLeast?: number
}

function publishes(name: string, what: string, { stored, told = false, env = {}, atLeast }: Form): Case {
  const flags = STORED_OR_NOT[stored ? 1 : 0].flags ?? []
  const rate = { unit: '/s', better: 'more' } as const
  const ms = { unit: 'ms', better: 'less' } as const
  const metrics: Metric[] = [
    {
      ...rate,
      key: 'publishes',
      title: 'acknowledged per second',
      ...(atLeast !== undefined && { target: { atLeast } }),
    },
    ...(told ? [{ ...rate, key: 'arrived', title: 'arrived at members per second' }] : []),
    { ...ms, key: 'ack_ms', quantile: 0.5, title: 'to the acknowledgement, p50' },
    { ...ms, key: 'ack_ms', quantile: 0.99, title: 'to the acknowledgement, p99' },
    { ...ms, key: 'paced_ms', quantile: 0.5, title: 'to the acknowledgement at 2,000 a second, p50' },
    { ...ms, key: 'paced_ms', quantile: 0.99, title: 'to the acknowledgement at 2,000 a second, p99' },
  ]
  return {
    name,
    title: `200 publishers, 16 messages of each in flight, ${what}`,
    sides: [
      { name: 'one process', flags, env },
      { name: 'two instances', flags, env, instances: 2 },
    ],
    metrics,
    run: (load) => run(load, told),
  }
}

export const clusterStored = publishes('cluster-stored', 'stored, into 1,000 rooms without members', {
  stored: true,
  atLeast: STORED_TARGET,
})
export const clusterStoredKeeping = publishes(
  'cluster-stored-keeping',
  'stored, into 1,000 rooms without members, with MIMALLOC_PURGE_HOLES=0',
  { stored: true, env: KEEPING, atLeast: STORED_TARGET },
)
export const clusterStoredAndTold = publishes(
  'cluster-told',
  'stored, into 1,000 rooms with a member at the other instance',
  { stored: true, told: true },
)
export const clusterEphemeral = publishes(
  'cluster-ephemeral',
  'stored nowhere, into 1,000 rooms with a member at the other instance',
  { stored: false, told: true },
)
