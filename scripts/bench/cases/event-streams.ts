import type { Case, Side } from '../case.ts'
import { DELIVERIES, throughput } from './deliveries.ts'
import { timesToLast, timeToLast } from './fanout.ts'
import { perConnection, sizes } from './memory.ts'

/** The same server and load; only what the members receive by differs. The publisher has a WebSocket on both sides. */
const BY_TRANSPORT: readonly [Side, Side] = [
  { name: 'WebSocket', transport: 'websocket' },
  { name: 'event stream', transport: 'sse' },
]

/** Within 1.3 times the time over WebSocket. */
const FANOUT_TARGET = 0.77

function fanout(members: number, messages: number, quickMessages: number): Case {
  return {
    name: `sse-fanout-${members}`,
    title: `one message to a room of ${members.toLocaleString('en')}, over either transport`,
    sides: BY_TRANSPORT,
    metrics: timesToLast(members, FANOUT_TARGET),
    run: (load) => timeToLast(load, members, load.size(messages, quickMessages)),
  }
}

export const sseFanoutThousand = fanout(1000, 200, 60)
export const sseFanoutTenThousand = fanout(10_000, 40, 15)

export const sseDeliveries: Case = {
  name: 'sse-deliveries',
  title: '1,000 members, 32 messages in flight, over either transport',
  sides: BY_TRANSPORT,
  metrics: [{ ...DELIVERIES, target: { ratio: 0.6 } }],
  run: (load) => throughput(load),
}

export const sseMemory: Case = {
  name: 'sse-memory',
  title: '10,000 idle connections, each in the same three rooms, over either transport',
  sides: BY_TRANSPORT,
  metrics: sizes(10),
  maxRounds: 2,
  run: perConnection,
}
