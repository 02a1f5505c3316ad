/**
 * What the core needs of a backend. `backends/embedded` fills these ports with memory and SQLite for one process; a
 * clustered backend fills them for many. The core asks, and does not know who answers.
 */
import type { MaybePromise } from '../maybe-promise.ts'
import type { Registry } from '../registry.ts'
import type { Room } from '../room.ts'
import type { Session } from '../session.ts'
import type { Bus } from './bus.ts'
import type { Directory } from './directory.ts'
import type { MessageLog } from './log.ts'
import type { Revocations } from './revocations.ts'
import type { Shelf } from './shelf.ts'
import type { Tickets } from './tickets.ts'

/** Somebody in a room, as others see it. */
export interface Participant {
  readonly id: string
  readonly username: string | undefined
}

/** A user came to a room or went: the first device came, or the last one is gone. */
export interface Passage {
  readonly room: string
  readonly userId: string
  readonly username: string | undefined
  /** Users in the room now. */
  readonly participants: number
  readonly came: boolean
  /** Many go at once: it is said in a summary, however small the room is. */
  readonly gathered?: boolean | undefined
  /** Its last connection is gone with the instance that had it. */
  readonly nodeLost?: boolean | undefined
}

/** A connection has ended: it leaves its rooms, and `Directory.release` MUST follow, with which it is out of all. */
export interface Going {
  /** Many go at once. */
  readonly gathered: boolean
}

/** Hears of the rooms that have a member in this process, in the one order in which they change for the whole deployment. */
export interface AttendanceListener {
  onPassage(passage: Passage): void
  /** How many users are in a room, told where nobody came or went. */
  onCount(room: string, participants: number): void
  /** As that, where it is not known who came and went meanwhile. */
  onRecount(room: string, participants: number): void
}

/**
 * Who is in which room, over all instances. A user is in it from the moment in which it can be reached there: whoever
 * hears that somebody came may say something to him.
 */
export interface Attendances {
  /** Names the listener. MUST be called once. */
  listen(listener: AttendanceListener): void
  /**
   * MUST be called after the session stands in the room of this process. When it is ready the listener has heard whatever
   * came before it, and how many users there are.
   */
  enter(room: string, session: Session): MaybePromise<void>
  /** Whether others were told of a user one of whose sessions has entered here. */
  isTold(room: string, userId: string): boolean
  /** A session that has entered receives what is said in the room from now on. The first one of its user is told of. */
  announce(room: string, session: Session): void
  /**
   * MUST be called after the session is out of the room of this process.
   * @param going absent: it leaves this room, and stays connected.
   */
  leave(room: string, session: Session, going?: Going): MaybePromise<void>
  count(room: string): MaybePromise<number>
  /**
   * Whether the user is in the room by any connection, of which others need not have been told yet: its client, which has
   * been answered, may act by another one at once.
   */
  has(room: string, userId: string): MaybePromise<boolean>
  /** At most `limit` participants, in the order of their coming. */
  participants(room: string, limit: number): MaybePromise<readonly Participant[]>
}

/** A room's shared state: a JSON value, and a number that grows with every change. */
export interface RoomState {
  readonly state: unknown
  readonly version: number
}

export interface RoomStates {
  get(room: string): MaybePromise<RoomState | undefined>
  /**
   * Applies a merge patch.
   * @throws TidingsError `version_conflict` where `ifVersion` is not the present one; `payload_too_large`.
   */
  patch(room: string, patch: unknown, ifVersion: number | undefined): MaybePromise<RoomState>
  /** The room got its first or lost its last member in this process: a state that no process has use for is dropped in time. */
  occupied(room: string, occupied: boolean): void
}

/** What is in this process, for a backend that adds it up. */
export interface LocalView {
  readonly registry: Registry
  room(name: string): Room | undefined
  rooms(): ReadonlyMap<string, Room>
}

/** A filled set of ports. */
export interface Backend {
  readonly attendances: Attendances
  readonly states: RoomStates
  readonly log: MessageLog
  /** Between instances; absent where this process is the whole deployment. */
  readonly bus?: Bus
  readonly directory: Directory
  /** What all instances share for a while; absent where there is one. */
  readonly shelf?: Shelf
  readonly tickets: Tickets
  readonly revocations: Revocations
  /**
   * Waits until the backend can be used. MUST be called once, before anybody comes in; absent: it can be used at once.
   * Rejects with a line for the operator.
   */
  begin?(): Promise<void>
  /** Called about once a second. */
  sweep(): void
  /** Writes what is waiting and ends. Called once, when the last connection is gone. */
  close(): Promise<void>
}
