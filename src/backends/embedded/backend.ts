/** All ports for one process. */
import type { Clock } from '../../core/clock.ts'
import type { Backend, LocalView } from '../../core/ports/backend.ts'
import { EmbeddedAttendances } from './attendances.ts'
import { EmbeddedRoomStates } from './room-states.ts'
import { EmbeddedSlots } from './slots.ts'

export interface EmbeddedOptions {
  readonly clock: Clock
  readonly maxStateBytes: number
}

export function createEmbeddedBackend(options: EmbeddedOptions): (local: LocalView) => Backend {
  return (local) => {
    const states = new EmbeddedRoomStates(options.clock, options.maxStateBytes)
    return {
      attendances: new EmbeddedAttendances(local),
      slots: new EmbeddedSlots(),
      states,
      sweep: () => states.sweep(),
    }
  }
}
