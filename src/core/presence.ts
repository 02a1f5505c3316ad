/**
 * Who is told that somebody came or went. In small rooms each coming and going is a frame; n arrivals told to n members
 * are n squared frames, so big rooms hear a summary at most once a second, and very big ones the count alone.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import { type Clock, toTimestamp } from './clock.ts'
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
  readonly attendances: Pick<Attendances, 'count' | 'listen'>
  /** A room with a member in this process. */
  readonly room: (name: string) => Room | undefined
  /** A connection of this process. */
  readonly session: (connectionId: string) => Session | undefined
  /** Hands a frame to the members of a room in this process, but not to `except`. */
  readonly tell: (room: Room, frame: ServerFrame, except: Session | undefined) => void
}

interface Summary {
  /** As the last one told has it: where several instances tell, that need not be the last one who came or went. */
  participants: number
  readonly joined: Map<string, Participant>
  readonly left: Map<string, Participant>
  readonly timer: ReturnType<typeof setTimeout>
}

export class Presence implements AttendanceListener {
  private readonly summaries = new Map<Room, Summary>()
  private readonly deps: PresenceDeps

  constructor(deps: PresenceDeps) {
    this.deps = deps
    deps.attendances.listen(this)
  }

  onPassage(passage: Passage): void {
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
    if (room.rule.presence !== 'off') this.summaryOf(room).participants = participants
  }

  /** Drops the summaries that are still to come. */
  close(): void {
    for (const { timer } of this.summaries.values()) clearTimeout(timer)
    this.summaries.clear()
  }

  private say(room: Room, { userId, username, participants, came, connectionId, gathered, nodeLost }: Passage): void {
    const person = { id: userId, username }
    if (gathered !== true && participants <= this.deps.maxMembers && room.rule.presence === 'events') {
      const verb = came ? 'joined' : 'left'
      const except = connectionId === undefined ? undefined : this.deps.session(connectionId)
      this.send(room, `user_${verb}_room`, except, {
        user: person,
        room_id: room.name,
        participant_count: participants,
        message: `${username ?? userId} ${verb}`,
        ...(nodeLost && { reason: 'node_lost' }),
      })
      return
    }
    const summary = this.summaryOf(room)
    summary.participants = participants
    const [here, there] = came ? [summary.joined, summary.left] : [summary.left, summary.joined]
    // Whoever came and went between two summaries has not been seen: nothing is said of them.
    if (!there.delete(person.id)) here.set(person.id, person)
  }

  /** What is going to be said of a room within a second. */
  private summaryOf(room: Room): Summary {
    const pending = this.summaries.get(room)
    if (pending !== undefined) return pending
    const timer = setTimeout(() => this.end(room), SUMMARY_INTERVAL_MS)
    const summary = { participants: 0, joined: new Map(), left: new Map(), timer }
    this.summaries.set(room, summary)
    return summary
  }

  private end(room: Room): void {
    const summary = this.summaries.get(room)
    this.summaries.delete(room)
    if (summary === undefined || room.topic.size === 0) return
    const count = this.deps.attendances.count(room.name)
    if (count instanceof Promise) {
      count.then(
        (participants) => this.summarise(room, participants, summary),
        () => this.summarise(room, summary.participants, summary),
      )
    } else {
      this.summarise(room, count, summary)
    }
  }

  private summarise(room: Room, participants: number, { joined, left }: Summary): void {
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
