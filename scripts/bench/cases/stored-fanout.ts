import type { Case, Side } from '../case.ts'
import { echoes, noticed } from '../echoes.ts'
import type { Load } from '../load.ts'
import { DELIVERIES, throughput } from './deliveries.ts'
import { timesToLast, timeToLast } from './fanout.ts'

/** Every message goes to the log before it is told, against rooms that keep nothing. */
export const STORED_OR_NOT: readonly [Side, Side] = [
  { name: 'not stored', flags: ['--rooms=[{"pattern":"*","publish":"any"}]'] },
  { name: 'stored', flags: ['--rooms=[{"pattern":"*","publish":"any","history":{"max_messages":1000}}]'] },
]

const MEMBERS = 1000
/** How fast delivery of what is stored has to be beside delivery of what is not. */
const STORED_TARGET = 0.8
/** Milliseconds that storing may add to the longest time for which the server does nothing for anybody. */
const STALL_TARGET_MS = 20

export const storedFanout: Case = {
  name: 'stored-fanout',
  title: 'one message to a room of 1,000, with and without storing it',
  sides: STORED_OR_NOT,
  metrics: timesToLast(MEMBERS, STORED_TARGET),
  run: (load) => timeToLast(load, MEMBERS, load.size(200, 60)),
}

/** How long others wait is measured after the deliveries: their pings share the load's core. */
async function run(load: Load) {
  return await throughput(load, () => load.assistant())
}

async function assist(load: Load) {
  return await echoes(load, () => Bun.sleep(load.size(6000, 2000)))
}

export const storedDeliveries: Case = {
  name: 'stored-deliveries',
  title: '1,000 members, 32 messages in flight, with and without storing them',
  sides: STORED_OR_NOT,
  metrics: [{ ...DELIVERIES, target: { ratio: STORED_TARGET } }, ...noticed({ over: STALL_TARGET_MS })],
  run,
  assist,
}
