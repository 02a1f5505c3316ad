import type { Case } from './case.ts'
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

/** All cases, in the order of the report. A new one is a file in cases/ and a line here. */
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

export function findCase(name: string): Case {
  const found = CASES.find((each) => each.name === name)
  if (found === undefined)
    throw new Error(`no case is called ${name}; there are ${CASES.map((c) => c.name).join(', ')}`)
  return found
}

/** The cases that `--only` names: a whole name, or a beginning (`fanout` is both fan-outs). None given: all. */
export function selectCases(only: readonly string[]): Case[] {
  if (only.length === 0) return [...CASES]
  const chosen = new Set<Case>()
  for (const name of only) {
    const exact = CASES.filter((each) => each.name === name)
    const matching = exact.length > 0 ? exact : CASES.filter((each) => each.name.startsWith(name))
    if (matching.length === 0) findCase(name)
    for (const each of matching) chosen.add(each)
  }
  return CASES.filter((each) => chosen.has(each))
}
