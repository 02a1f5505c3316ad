/**
 * Who is in which room, in Redis: every change is one script, which also tells of it. This instance hears of its own
 * changes as the others do, by its subscriptions, so that all have one order.
 */
import type { AttendanceListener, Attendances, LocalView, Participant } from '../../../core/ports/backend.ts'
import type { Session } from '../../../core/session.ts'
import { parseLogTopic } from '../../../core/stored-topics.ts'
import { unavailable } from '../failures.ts'
import { Echoes } from './echoes.ts'
import type { Lease } from './lease.ts'
import type { Lists } from './lists.ts'
import { parseCount, parsePassage } from './news.ts'
import { Owed } from './owed.ts'
import { ANNOUNCE, ENTER, LEAVE, UNSEATED } from './scripts.ts'
import { Unannounced } from './unannounced.ts'

export interface RedisAttendancesOptions {
  readonly lease: Lease
  readonly lists: Lists
  /** The channel that only this instance hears. */
  readonly ownChannel: string
  readonly monotonic: () => number
  /** What is in this process. */
  readonly room: LocalView['room']
  /** Whether a connection of this process has a place. */
  readonly isSeated: (connectionId: string) => boolean
  /** Has Redis know a connection of this process again that it has lost; false where it has no place here either. */
  readonly bringBack: (connectionId: string) => Promise<boolean>
}

export class RedisAttendances implements Attendances {
  private readonly options: RedisAttendancesOptions
  private readonly echoes: Echoes
  private readonly unannounced = new Unannounced()
  private readonly owed: Owed
  private listener: AttendanceListener = { onPassage() {}, onCount() {} }

  constructor(options: RedisAttendancesOptions) {
    this.options = options
    this.echoes = new Echoes(options.monotonic)
    this.owed = new Owed(options.lease)
  }

  listen(listener: AttendanceListener): void {
    this.listener = listener
  }

  async enter(room: string, session: Session): Promise<void> {
    const { bringBack, lease, ownChannel } = this.options
    const { connectionId, identity, userId } = session
    this.owed.forget(connectionId, room)
    const echo = this.echoes.expect((participants, isTold) => {
      if (!isTold) this.unannounced.add(room, session)
      this.listener.onCount(room, participants)
    })
    const quiet = this.isQuiet(room) ? '-' : ''
    const args = [connectionId, userId, identity.username ?? '', room, quiet, ownChannel, echo.token]
    try {
      let reply = await lease.run(ENTER, args)
      if (reply === UNSEATED && (await bringBack(connectionId))) reply = await lease.run(ENTER, args)
      if (reply === UNSEATED) throw unavailable('The connection has ended')
      const [participants = 0, isTold] = reply as number[]
      await echo.arrival(participants, isTold === 1)
    } catch (error) {
      this.echoes.forget(echo)
      throw error
    }
  }

  isTold(room: string, userId: string): boolean {
    return !this.unannounced.has(room, userId)
  }

  announce(room: string, { connectionId, userId }: Session): void {
    if (!this.isTold(room, userId)) this.owed.run(ANNOUNCE, { connectionId, room }, [connectionId, userId, room])
  }

  /** A leave is told to Redis later where it cannot be told now: whoever goes is not kept. */
  async leave(room: string, session: Session, gathered: boolean): Promise<void> {
    const { connectionId, userId } = session
    this.unannounced.delete(room, session)
    this.owed.forget(connectionId, room)
    try {
      await this.options.lease.run(LEAVE, [connectionId, userId, room, gathered ? 1 : 0])
    } catch {
      const args = [connectionId, userId, room, 0]
      if (this.options.isSeated(connectionId)) this.owed.add(LEAVE, { connectionId, room }, args)
    }
  }

  count(room: string): Promise<number> {
    return this.options.lists.participantsIn(room)
  }

  has(room: string, userId: string): Promise<boolean> {
    return this.options.lists.isIn(room, userId)
  }

  participants(room: string, limit: number): Promise<readonly Participant[]> {
    return this.options.lists.participants(room, limit)
  }

  /**
   * Takes what the scripts tell.
   * @param topic of which topic's channel; absent: this instance's own.
   * @returns false where it is none of ours.
   */
  hear(topic: string | undefined, text: string): boolean {
    if (topic === undefined) {
      const count = parseCount(text)
      if (count !== undefined) this.echoes.hear(count)
      return count !== undefined
    }
    const { kind, name } = parseLogTopic(topic)
    const passage = kind === 'room' ? parsePassage(name, text) : undefined
    if (passage === undefined) return false
    if (passage.came) this.unannounced.told(passage.room, passage.userId)
    this.listener.onPassage(passage)
    return true
  }

  /** The rooms of a session and what others know of its user there, as the script `RETURN` wants them. */
  standingOf({ rooms, userId }: Session): string[] {
    return rooms.flatMap((room) => [room, this.isQuiet(room) ? '-' : this.isTold(room, userId) ? 'told' : ''])
  }

  /** A connection has ended: nothing is owed of it. */
  forget(connectionId: string): void {
    this.owed.forget(connectionId)
  }

  /** Called about once a second. */
  step(): void {
    this.echoes.sweep()
    this.owed.repay()
  }

  close(): void {
    this.echoes.close()
  }

  private isQuiet(room: string): boolean {
    return this.options.room(room)?.rule.presence === 'off'
  }
}
