/** Places of users in one process. One is taken in one turn of the event loop, so no race can exceed the limit. */
import { MultiMap } from '../../core/multimap.ts'
import type { Located, Seat, Seating, SeatLimits } from '../../core/ports/directory.ts'

interface Taken {
  readonly connectionId: string
  readonly userId: string
  readonly deviceId: string
}

export class Seats {
  private readonly instance: string
  private readonly seats = new Map<string, Taken>()
  /** Those whose place was given to somebody else, until they have heard of it. */
  private readonly lost = new Set<string>()
  /** Oldest first. */
  private readonly byUser = new MultiMap<string, Taken>()

  /** @param instance the name of this process. */
  constructor(instance: string) {
    this.instance = instance
  }

  hasLost(connectionId: string): boolean {
    return this.lost.has(connectionId)
  }

  /** Limits per address and in total are the door's own, which asks for them before it knows the user. */
  reserve({ connectionId, userId, deviceId, former }: Seat, { perUser, perUserPolicy }: SeatLimits): Seating {
    const own = former === undefined ? undefined : this.seats.get(former)
    if (own?.userId === userId && own.deviceId === deviceId) this.release(own.connectionId)
    let evicted: Located | undefined
    if (perUser > 0 && this.byUser.count(userId) >= perUser) {
      const oldest = this.byUser.first(userId)
      if (perUserPolicy === 'reject' || oldest === undefined) return { seated: false, full: 'user' }
      this.evict(oldest.connectionId)
      evicted = { connectionId: oldest.connectionId, instance: this.instance }
    }
    const taken = { connectionId, userId, deviceId }
    this.seats.set(connectionId, taken)
    this.byUser.add(userId, taken)
    return { seated: true, evicted }
  }

  /** Takes a place away. */
  evict(connectionId: string): void {
    if (this.free(connectionId)) this.lost.add(connectionId)
  }

  release(connectionId: string): void {
    this.free(connectionId)
    this.lost.delete(connectionId)
  }

  private free(connectionId: string): boolean {
    const taken = this.seats.get(connectionId)
    if (taken === undefined) return false
    this.seats.delete(connectionId)
    this.byUser.delete(taken.userId, taken)
    return true
  }
}
