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

/** What a join or a leave changed for the whole deployment. */
export interface Attendance {
  /** Users in the room now. */
  readonly participants: number
  /** Whether the user's first device came, or the last one left: others are told of users, not of devices. */
  readonly changed: boolean
}

/** Who is in which room, over all instances. */
export interface Attendances {
  /** MUST be called after the session stands in the room of this process. */
  enter(room: string, session: Session): MaybePromise<Attendance>
  /** MUST be called after the session is out of the room of this process. */
  leave(room: string, session: Session): MaybePromise<Attendance>
  count(room: string): MaybePromise<number>
  /** Whether the user stands in the room by any connection. */
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
