/** The rooms' shared states, in memory. */
import type { Clock } from '../../core/clock.ts'
import { mergePatch } from '../../core/merge-patch.ts'
import type { RoomState, RoomStates } from '../../core/ports/backend.ts'
import { TidingsError } from '../../protocol/errors.ts'

interface Kept extends RoomState {
  /** Monotonic milliseconds since which nobody has been there; absent while somebody is. */
  readonly emptySince: number | undefined
}

/** Milliseconds for which an abandoned room keeps its state: a meeting goes on the next day. */
const KEPT_MS = 24 * 60 * 60 * 1000

export class EmbeddedRoomStates implements RoomStates {
  private readonly states = new Map<string, Kept>()
  private readonly clock: Clock
  private readonly maxBytes: number

  /** @param maxBytes bytes of one state as JSON: it is sent whole, so it is bounded like a message. */
  constructor(clock: Clock, maxBytes: number) {
    this.clock = clock
    this.maxBytes = maxBytes
  }

  get(room: string): RoomState | undefined {
    const kept = this.states.get(room)
    return kept && { state: kept.state, version: kept.version }
  }

  patch(room: string, patch: unknown, ifVersion: number | undefined): RoomState {
    const kept = this.states.get(room)
    const version = kept?.version ?? 0
    if (ifVersion !== undefined && ifVersion !== version) {
      const details = { version }
      throw new TidingsError('version_conflict', `The state has version ${version}, not ${ifVersion}`, { details })
    }
    const state = mergePatch(kept?.state ?? {}, patch)
    const bytes = Buffer.byteLength(JSON.stringify(state) ?? '')
    if (bytes > this.maxBytes) {
      throw new TidingsError('payload_too_large', `The state would be ${bytes} of ${this.maxBytes} bytes`)
    }
    const next = { state, version: version + 1, emptySince: kept?.emptySince }
    this.states.set(room, next)
    return next
  }

  occupied(room: string, occupied: boolean): void {
    const kept = this.states.get(room)
    if (kept === undefined) return
    this.states.set(room, { ...kept, emptySince: occupied ? undefined : this.clock.monotonic() })
  }

  /** Drops the states of rooms that have been empty for long. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [room, { emptySince }] of this.states) {
      if (emptySince !== undefined && now - emptySince > KEPT_MS) this.states.delete(room)
    }
  }
}
