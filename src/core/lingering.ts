/**
 * Those whose connection was lost a moment ago. For others they are still there, so that a blip is not a leave and a join;
 * they leave when their time is over, without a word when they come back before.
 */
import type { Room } from './room.ts'
import type { Session } from './session.ts'

interface Stay {
  readonly rooms: Set<Room>
  /** Monotonic milliseconds. */
  readonly until: number
}

export class Lingering {
  private readonly stays = new Map<Session, Stay>()

  add(session: Session, rooms: Iterable<Room>, until: number): void {
    this.stays.set(session, { rooms: new Set(rooms), until })
  }

  has(session: Session): boolean {
    return this.stays.has(session)
  }

  /** The former connections of a device in a room, now that it is back there; `isOver`: it was the last of their rooms. */
  takeFormer(room: Room, { userId, deviceId }: Session): { session: Session; isOver: boolean }[] {
    if (this.stays.size === 0) return []
    const former = []
    for (const session of [...room.members.get(userId)]) {
      const stay = session.deviceId === deviceId ? this.stays.get(session) : undefined
      if (stay?.rooms.delete(room) !== true) continue
      const isOver = stay.rooms.size === 0
      if (isOver) this.stays.delete(session)
      former.push({ session, isOver })
    }
    return former
  }

  /** One connection's stay, which is over with that. */
  take(connectionId: string): { session: Session; rooms: Iterable<Room> } | undefined {
    for (const [session, { rooms }] of this.stays) {
      if (session.connectionId !== connectionId) continue
      this.stays.delete(session)
      return { session, rooms }
    }
    return undefined
  }

  /** Those whose time is over, with the rooms in which they still are. */
  takeOver(now: number): { session: Session; rooms: Iterable<Room> }[] {
    const over = []
    for (const [session, { rooms, until }] of this.stays) {
      if (until > now) continue
      this.stays.delete(session)
      over.push({ session, rooms })
    }
    return over
  }
}
