import type { Attendance } from '../../../core/ports/backend.ts'

/** What a script answers that lets somebody in or out: participants, and 1 where others are to be told. */
export function attendance(reply: unknown): Attendance {
  const [participants = 0, changed = 0] = reply as number[]
  return { participants, changed: changed === 1 }
}
