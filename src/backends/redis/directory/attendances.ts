/**
 * Who is in which room, in Redis: every change is one script, which also tells of it. This instance hears of its own
 * changes as the others do, by its subscriptions, so that all have one order.
 */
import type { Log } from '../../../core/log.ts'
import type { AttendanceListener, Attendances, Going, LocalView, Participant } from '../../../core/ports/backend.ts'
import type { Session } from '../../../core/session.ts'
import { parseLogTopic } from '../../../core/stored-topics.ts'
import { unavailable } from '../failures.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { Echoes } from './echoes.ts'
import { Entering } from './entering.ts'
import { Feed } from './feed.ts'
import { LEASE_MS, type Lease } from './lease.ts'
import type { Lists } from './lists.ts'
import { readMissed } from './missed.ts'
import { type News, parseNews } from './news.ts'
import { Owed } from './owed.ts'
import { ANNOUNCE, ENTER, LEAVE, UNSEATED } from './scripts.ts'

export interface RedisAttendancesOptions {
  readonly lease: Lease
  readonly lists: Lists
  readonly primary: Primary
  readonly keys: Keys
  readonly instance: string
  readonly log: Log
  readonly monotonic: () => number
  /** What is in this process. */
  readonly local: () => Pick<LocalView, 'room' | 'rooms'>
  /** Whether a connection of this process has a place. */
  readonly isSeated: (connectionId: string) => boolean
  /** Has Redis know a connection of this process again that it has lost; false where it has no place here either. */
  readonly bringBack: (connectionId: string) => Promise<boolean>
}

export class RedisAttendances implements Attendances {
  private readonly options: RedisAttendancesOptions
  private readonly echoes: Echoes
  private readonly entering = new Entering()
  private readonly owed: Owed
  private readonly feed: Feed
  private readonly ownChannel: string
  /** Monotonic milliseconds at which everybody has brought in again what Redis had lost. */
  private recountAt = Number.POSITIVE_INFINITY
  private listener: AttendanceListener = { onPassage() {}, onCount() {}, onRecount() {} }

  constructor(options: RedisAttendancesOptions) {
    this.options = options
    this.echoes = new Echoes(options.monotonic)
    this.owed = new Owed(options.lease)
    const { instance, keys, local, log, primary } = options
    this.ownChannel = keys.instanceChannel(instance)
    this.feed = new Feed({
      read: (after) => readMissed(primary, keys, after, (room) => local().room(room) !== undefined),
      take: (news) => this.take(news),
      recount: () => this.recount(),
      log,
    })
  }

  listen(listener: AttendanceListener): void {
    this.listener = listener
  }

  async enter(room: string, session: Session): Promise<void> {
    const { bringBack, lease } = this.options
    const { connectionId, identity, userId } = session
    this.owed.forget(connectionId, room)
    const echo = this.echoes.expect((participants, isTold) => {
      this.entering.add(room, session, isTold)
      this.listener.onCount(room, participants)
    })
    const quiet = this.isQuiet(room) ? '-' : ''
    const args = [connectionId, userId, identity.username ?? '', room, quiet, this.ownChannel, echo.token]
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
    return this.entering.isTold(room, userId)
  }

  announce(room: string, { connectionId, userId }: Session): void {
    this.entering.entered(room, connectionId)
    if (!this.isTold(room, userId)) this.owed.run(ANNOUNCE, { connectionId, room }, [connectionId, userId, room])
  }

  /** A leave is told to Redis later where it cannot be told now: whoever goes is not kept. */
  async leave(room: string, session: Session, going?: Going): Promise<void> {
    const { connectionId, userId } = session
    this.entering.delete(room, session)
    this.owed.forget(connectionId, room)
    // One script takes it out of all its rooms.
    if (going !== undefined) return
    const args = [connectionId, userId, room]
    try {
      await this.options.lease.run(LEAVE, args)
    } catch {
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
    const { kind, name } = topic === undefined ? { kind: 'room', name: undefined } : parseLogTopic(topic)
    const news = kind === 'room' ? parseNews(name, text) : undefined
    if (news !== undefined) this.feed.hear(news)
    return news !== undefined
  }

  /** Nothing comes by the subscription any more. */
  onSilence(): void {
    this.feed.interrupt()
  }

  /** Everything is subscribed to again. */
  onSubscribed(): void {
    this.feed.resume()
  }

  /** The data in Redis is another, and what is missing in it is brought in by whoever is alive. */
  onEpoch(): void {
    this.recountAt = this.options.monotonic() + LEASE_MS
    this.feed.interrupt()
    this.feed.resume()
  }

  /** The rooms of a session and what others know of its user there, as the script `RETURN` wants them. */
  standingOf({ connectionId, rooms, userId }: Session): string[] {
    // Who was announced is known to the others, though it was not heard here: the instance stood still, or nothing came.
    const isKnown = (room: string) => this.isTold(room, userId) || !this.owed.has({ connectionId, room })
    const known = (room: string, isTold: boolean) => [room, this.isQuiet(room) ? '-' : isTold ? 'told' : '']
    return [
      ...rooms.flatMap((room) => known(room, isKnown(room))),
      ...[...this.entering.roomsOf(connectionId)].flatMap((room) => known(room, this.isTold(room, userId))),
    ]
  }

  /** A connection has ended: nothing is owed of it. */
  forget(connectionId: string): void {
    this.owed.forget(connectionId)
  }

  /** Called about once a second. */
  step(): void {
    this.echoes.sweep()
    this.owed.repay()
    this.feed.step()
    if (this.recountAt > this.options.monotonic()) return
    this.recountAt = Number.POSITIVE_INFINITY
    this.recount()
  }

  close(): void {
    this.echoes.close()
  }

  private take(news: News): void {
    if (news.kind === 'count') {
      this.echoes.hear(news.count)
      return
    }
    const { passage } = news
    if (passage.came) this.entering.told(passage.room, passage.userId)
    this.listener.onPassage(passage)
  }

  /** Says how many are in the rooms of this process, where what happened in them is not known. */
  private recount(): void {
    // Before everybody has brought in again what is missing in Redis there is nothing to count.
    if (this.recountAt !== Number.POSITIVE_INFINITY) return
    for (const room of this.options.local().rooms().keys()) {
      this.count(room).then(
        (participants) => this.listener.onRecount(room, participants),
        () => {
          this.recountAt = this.options.monotonic() + LEASE_MS
        },
      )
    }
  }

  private isQuiet(room: string): boolean {
    return this.options.local().room(room)?.rule.presence === 'off'
  }
}
