/** Who is in which room, where this process is the whole deployment: what stands in its rooms is the truth. */
import type { Attendance, Attendances, LocalView, Participant } from '../../core/ports/backend.ts'
import type { Session } from '../../core/session.ts'

export class EmbeddedAttendances implements Attendances {
  private readonly local: LocalView

  constructor(local: LocalView) {
    this.local = local
  }

  enter(room: string, session: Session): Attendance {
    return this.attendance(room, session, 1)
  }

  leave(room: string, session: Session): Attendance {
    return this.attendance(room, session, 0)
  }

  count(room: string): number {
    return this.local.room(room)?.members.size ?? 0
  }

  has(room: string, userId: string): boolean {
    return this.local.room(room)?.members.has(userId) ?? false
  }

  participants(room: string, limit: number): Participant[] {
    const members = this.local.room(room)?.members
    const participants: Participant[] = []
    for (const id of members?.keys() ?? []) {
      if (participants.length === limit) break
      participants.push({ id, username: members?.first(id)?.identity.username })
    }
    return participants
  }

  /** The user came or went where the number of its devices in the room is now `devices`. */
  private attendance(room: string, session: Session, devices: number): Attendance {
    const members = this.local.room(room)?.members
    return { participants: members?.size ?? 0, changed: (members?.count(session.userId) ?? 0) === devices }
  }
}
