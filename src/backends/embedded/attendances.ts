/** Who is in which room, where this process is the whole deployment: what stands in its rooms is the truth. */
import type { AttendanceListener, Attendances, Going, LocalView, Participant } from '../../core/ports/backend.ts'
import type { Session } from '../../core/session.ts'

export class EmbeddedAttendances implements Attendances {
  private readonly local: LocalView
  private listener: AttendanceListener = { onPassage() {}, onCount() {}, onRecount() {} }
  /** Of each room, the users who have entered and cannot be reached there yet. They do not count, and are told to nobody. */
  private readonly unannounced = new Map<string, Set<string>>()

  constructor(local: LocalView) {
    this.local = local
  }

  listen(listener: AttendanceListener): void {
    this.listener = listener
  }

  enter(room: string, { userId }: Session): void {
    if (this.local.room(room)?.members.count(userId) !== 1) return
    const waiting = this.unannounced.get(room)
    if (waiting === undefined) this.unannounced.set(room, new Set([userId]))
    else waiting.add(userId)
  }

  isTold(room: string, userId: string): boolean {
    return this.unannounced.get(room)?.has(userId) !== true
  }

  announce(room: string, session: Session): void {
    if (this.withdraw(room, session.userId)) this.tell(room, session, true)
  }

  leave(room: string, session: Session, going?: Going): void {
    const { userId } = session
    if (this.local.room(room)?.members.has(userId) === true || this.withdraw(room, userId)) return
    this.tell(room, session, false, going?.gathered)
  }

  count(room: string): number {
    return (this.local.room(room)?.members.size ?? 0) - (this.unannounced.get(room)?.size ?? 0)
  }

  has(room: string, userId: string): boolean {
    return this.local.room(room)?.members.has(userId) === true
  }

  participants(room: string, limit: number): Participant[] {
    const members = this.local.room(room)?.members
    const participants: Participant[] = []
    for (const id of members?.keys() ?? []) {
      if (participants.length >= limit) break
      if (this.isTold(room, id)) participants.push({ id, username: members?.first(id)?.identity.username })
    }
    return participants
  }

  /** False where the user was told of. */
  private withdraw(room: string, userId: string): boolean {
    const waiting = this.unannounced.get(room)
    if (waiting?.delete(userId) !== true) return false
    if (waiting.size === 0) this.unannounced.delete(room)
    return true
  }

  private tell(room: string, session: Session, came: boolean, gathered = false): void {
    const { identity, userId } = session
    const participants = this.count(room)
    this.listener.onPassage({ room, userId, username: identity.username, participants, came, gathered })
  }
}
