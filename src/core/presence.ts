/**
 * Who is told that somebody came or went. In small rooms each coming and going is a frame; n arrivals told to n members
 * are n squared frames, so big rooms hear a summary at most once a second, and very big ones the count alone.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

/** Milliseconds between two summaries of one room. */
const SUMMARY_INTERVAL_MS = 1000
/** Members above which a summary holds no names: the names alone would be longer than most messages. */
const MAX_NAMED_MEMBERS = 2000

interface Person {
  id: string
  username: string | undefined
}

interface Summary {
  participants: number
  readonly joined: Map<string, Person>
  readonly left: Map<string, Person>
  readonly timer: ReturnType<typeof setTimeout>
}

export class Presence {
  private readonly summaries = new Map<Room, Summary>()
  private readonly clock: Clock
  private readonly maxMembers: number
  private readonly tell: (room: Room, frame: ServerFrame, except: Session | undefined) => void

  /**
   * @param maxMembers members up to which each coming and going is told at once.
   * @param tell hands a frame to the members of a room, but not to `except`.
   */
  constructor(
    clock: Clock,
    maxMembers: number,
    tell: (room: Room, frame: ServerFrame, except: Session | undefined) => void,
  ) {
    this.clock = clock
    this.maxMembers = maxMembers
    this.tell = tell
  }

  /** A user's first device came into the room. */
  joined(room: Room, session: Session, participants: number): void {
    this.changed(room, session, participants, true, false)
  }

  /**
   * A user's last device went.
   * @param gathered many go at once: say it in a summary, however small the room is.
   */
  left(room: Room, session: Session, participants: number, gathered = false): void {
    this.changed(room, session, participants, false, gathered)
  }

  /** Drops the summaries that are still to come. */
  close(): void {
    for (const { timer } of this.summaries.values()) clearTimeout(timer)
    this.summaries.clear()
  }

  private changed(room: Room, session: Session, participants: number, came: boolean, gathered: boolean): void {
    if (room.rule.presence === 'off') return
    const person = { id: session.userId, username: session.identity.username }
    if (!gathered && participants <= this.maxMembers && room.rule.presence === 'events') {
      const verb = came ? 'joined' : 'left'
      this.say(room, `user_${verb}_room`, session, {
        user: person,
        room_id: room.name,
        participant_count: participants,
        message: `${person.username ?? person.id} ${verb}`,
      })
      return
    }
    const summary = this.summaries.get(room) ?? this.begin(room)
    summary.participants = participants
    const [here, there] = came ? [summary.joined, summary.left] : [summary.left, summary.joined]
    // Whoever came and went between two summaries has not been seen: nothing is said of them.
    if (!there.delete(person.id)) here.set(person.id, person)
  }

  private begin(room: Room): Summary {
    const timer = setTimeout(() => this.summarise(room), SUMMARY_INTERVAL_MS)
    const summary = { participants: 0, joined: new Map(), left: new Map(), timer }
    this.summaries.set(room, summary)
    return summary
  }

  private summarise(room: Room): void {
    const summary = this.summaries.get(room)
    this.summaries.delete(room)
    if (summary === undefined || room.topic.size === 0) return
    const { participants, joined, left } = summary
    const named = room.rule.presence === 'events' && participants <= MAX_NAMED_MEMBERS
    this.say(room, 'presence', undefined, {
      room_id: room.name,
      participant_count: participants,
      ...(named && joined.size > 0 && { joined: [...joined.values()] }),
      ...(named && left.size > 0 && { left: [...left.values()] }),
    })
  }

  private say(room: Room, type: string, except: Session | undefined, payload: unknown): void {
    if (room.topic.size === 0) return
    this.tell(room, { type, payload, room: room.name, timestamp: toTimestamp(this.clock.now()) }, except)
  }
}
