/** Slots of users in one process. A reservation happens in one turn of the event loop, so no race can exceed the limit. */
import type { Slots } from '../../core/ports/backend.ts'

export class EmbeddedSlots implements Slots {
  /** Connections that hold a slot, by user. */
  private readonly taken = new Map<string, number>()

  reserve(userId: string, _connectionId: string, limit: number): boolean {
    if (limit === 0) return true
    const taken = this.taken.get(userId) ?? 0
    if (taken >= limit) return false
    this.taken.set(userId, taken + 1)
    return true
  }

  release(userId: string): void {
    const taken = this.taken.get(userId)
    if (taken === undefined) return
    if (taken === 1) this.taken.delete(userId)
    else this.taken.set(userId, taken - 1)
  }
}
