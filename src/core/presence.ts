/**
 * Who is told that somebody came or went. In small rooms each coming and going is a frame; n arrivals told to n members
 * are n squared frames, so big rooms hear a summary at most once a second, and very big ones the count alone.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import { type Clock, toTimestamp } from './clock.ts'
import { Following } from './following.ts'
import { MultiMap } from './multimap.ts'
import type { AttendanceListener, Attendances, Participant, Passage } from './ports/backend.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

/** Milliseconds between two summaries of one room. */
const SUMMARY_INTERVAL_MS = 1000
/** Members above which a summary holds no names: the names alone would be longer than most messages. */
const MAX_NAMED_MEMBERS = 2000

export interface PresenceDeps {
  readonly clock: Clock
  /** Members up to which each coming and going is told at once. */
  readonly maxMembers: number
  readonly attendances: Pick<Attendances, 'listen'>
  /** A room with a member in this process. */
  readonly room: (name: string) => Room | undefined
  /** Hands a frame to the members of a room in this process, but not to `except`. */
  readonly tell: (room: Room, frame: ServerFrame, except: Session | undefined) => void
}

interface Summary {
  readonly joined: Map<string, Participant>
  readonly left: Map<string, Participant>
  readonly timer: ReturnType<typeof setTimeout>
}

export class Presence implements AttendanceListener {
  private readonly summaries = new Map<Room, Summary>()
  private readonly followings = new MultiMap<string, Following>()
  private readonly deps: PresenceDeps

  constructor(deps: PresenceDeps) {
    this.deps = deps
    deps.attendances.listen(this)
  }

  /**
   * Reads who is in a room for somebody who is told of comings and goings there.
   * @param take called with what was read, and what was told meanwhile. The answer MUST be sent in it.
   */
  async follow<T>(room: Room, read: Promise<T>, take: (read: T, following: Following) => void): Promise<void> {
    const following = new Following()
    this.followings.add(room.name, following)
    try {
      const found = await read
      room.isListed = true
      take(found, following)
    } finally {
      this.followings.delete(room.name, following)
    }
  }

  onPassage(passage: Passage): void {
    for (const following of this.followings.get(passage.room)) following.hear(passage)
    const room = this.deps.room(passage.room)
    if (room === undefined) return
    room.participants = passage.participants
    if (room.rule.presence !== 'off') this.say(room, passage)
  }

  onCount(name: string, participants: number): void {
    const room = this.deps.room(name)
    if (room !== undefined) room.participants = participants
  }

  onRecount(name: string, participants: number): void {
    const room = this.deps.room(name)
    if (room === undefined || room.participants === participants) return
    room.participants = participants
    if (room.rule.presence !== 'off') this.summaryOf(room)
  }

  /** Drops the summaries that are still to come. */
  close(): void {
    for (const { timer } of this.summaries.values()) clearTimeout(timer)
    this.summaries.clear()
  }

  private say(room: Room, { userId, username, participants, came, gathered, nodeLost }: Passage): void {
    const person = { id: userId, username }
    const isSmall = participants <= this.deps.maxMembers && room.rule.presence === 'events'
    if (isSmall && gathered !== true && !this.isAwaited(room, userId)) {
      const verb = came ? 'joined' : 'left'
      this.send(room, `user_${verb}_room`, room.reachable(userId), {
        user: person,
        room_id: room.name,
        participant_count: participants,
        message: `${username ?? userId} ${verb}`,
        ...(nodeLost && { reason: 'node_lost' }),
      })
      return
    }
    const { joined, left } = this.summaryOf(room)
    const [here, there] = came ? [joined, left] : [left, joined]
    // Whoever came and went between two summaries has not been seen, but by those who have read a list: nothing is said of them.
    if (!there.delete(userId) || room.isListed) here.set(userId, person)
  }

  /** Whether a summary is going to speak of a user: said before it, what is newer would be taken back by it. */
  private isAwaited(room: Room, userId: string): boolean {
    const summary = this.summaries.get(room)
    return summary !== undefined && (summary.joined.has(userId) || summary.left.has(userId))
  }

  /** What is going to be said of a room within a second. */
  private summaryOf(room: Room): Summary {
    const pending = this.summaries.get(room)
    if (pending !== undefined) return pending
    const timer = setTimeout(() => this.end(room), SUMMARY_INTERVAL_MS)
    const summary = { joined: new Map(), left: new Map(), timer }
    this.summaries.set(room, summary)
    return summary
  }

  private end(room: Room): void {
    const summary = this.summaries.get(room)
    this.summaries.delete(room)
    if (summary === undefined) return
    room.isListed = false
    const { joined, left } = summary
    const { participants } = room
    const named = room.rule.presence === 'events' && participants <= MAX_NAMED_MEMBERS
    this.send(room, 'presence', undefined, {
      room_id: room.name,
      participant_count: participants,
      ...(named && joined.size > 0 && { joined: [...joined.values()] }),
      ...(named && left.size > 0 && { left: [...left.values()] }),
    })
  }

  private send(room: Room, type: string, except: Session | undefined, payload: unknown): void {
    if (room.topic.size === 0) return
    const { clock, tell } = this.deps
    tell(room, { type, payload, room: room.name, timestamp: toTimestamp(clock.now()) }, except)
  }
}
