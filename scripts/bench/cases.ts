import type { Case } from './case.ts'
import { clusterBystander } from './cases/cluster-bystander.ts'
import { clusterLatency } from './cases/cluster-latency.ts'
import {
  clusterEphemeral,
  clusterStored,
  clusterStoredAndTold,
  clusterStoredKeeping,
} from './cases/cluster-publishes.ts'
import { connects } from './cases/connects.ts'
import { deliveries } from './cases/deliveries.ts'
import { echo } from './cases/echo.ts'
import { echoUnderBroadcast } from './cases/echo-under-broadcast.ts'
import { sseDeliveries, sseFanoutTenThousand, sseFanoutThousand, sseMemory } from './cases/event-streams.ts'
import { fanoutTenThousand, fanoutThousand } from './cases/fanout.ts'
import { memory } from './cases/memory.ts'
import { publishesToOne, publishesToThousand } from './cases/publishes.ts'
import { replay } from './cases/replay.ts'
import { rooms } from './cases/rooms.ts'
import { storedDeliveries, storedFanout } from './cases/stored-fanout.ts'
import { workers } from './cases/workers.ts'

/** All cases of one process, in the order of the report. A new one is a file in cases/ and a line here. */
export const CASES: readonly Case[] = [
  fanoutThousand,
  fanoutTenThousand,
  deliveries,
  rooms,
  echo,
  echoUnderBroadcast,
  connects,
  memory,
  publishesToOne,
  publishesToThousand,
  storedFanout,
  storedDeliveries,
  replay,
  sseFanoutThousand,
  sseFanoutTenThousand,
  sseDeliveries,
  sseMemory,
]

/** Those of instances that share a Redis. */
export const CLUSTER_CASES: readonly Case[] = [
  clusterLatency,
  clusterStored,
  clusterStoredKeeping,
  clusterStoredAndTold,
  clusterEphemeral,
  clusterBystander,
  workers,
]

export function findCase(name: string, among: readonly Case[] = [...CASES, ...CLUSTER_CASES]): Case {
  const found = among.find((each) => each.name === name)
  if (found === undefined)
    throw new Error(`no case is called ${name}; there are ${among.map((c) => c.name).join(', ')}`)
  return found
}

/** The cases that `--only` names: a whole name, or a beginning (`fanout` is both fan-outs). None given: all. */
export function selectCases(only: readonly string[], among: readonly Case[] = CASES): Case[] {
  if (only.length === 0) return [...among]
  const chosen = new Set<Case>()
  for (const name of only) {
    const exact = among.filter((each) => each.name === name)
    const matching = exact.length > 0 ? exact : among.filter((each) => each.name.startsWith(name))
    if (matching.length === 0) findCase(name, among)
    for (const each of matching) chosen.add(each)
  }
  return among.filter((each) => chosen.has(each))
}
