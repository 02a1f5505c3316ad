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

  /** The former connections of a device in a room: now that it is back, they are taken out. */
  takeFormer(room: Room, { userId, deviceId }: Session): Session[] {
    if (this.stays.size === 0) return []
    const former = [...room.members.get(userId)].filter(
      (session) => session.deviceId === deviceId && this.stays.get(session)?.rooms.delete(room) === true,
    )
    for (const session of former) if (this.stays.get(session)?.rooms.size === 0) this.stays.delete(session)
    return former
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
