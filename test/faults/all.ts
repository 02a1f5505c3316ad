/** Every fault, in the order of their numbers. */
import { cutAndResume } from './cut-and-resume.ts'
import type { Fault } from './fault.ts'
import { joinRace } from './join-race.ts'
import { orderOnOneConnection } from './order-on-one-connection.ts'
import { unrecoverable } from './unrecoverable.ts'

export const FAULTS: readonly Fault<never>[] = [cutAndResume, joinRace, orderOnOneConnection, unrecoverable].sort(
  (a, b) => a.number - b.number,
) as never
