/**
 * Who is connected where in a deployment of many instances: limits, lists, rooms. Every instance answers for its own
 * connections under a lease; when it dies, others take them out. Lists and counts are read from here, and ask nobody.
 */
import type { MaybePromise } from '../maybe-promise.ts'
import type { ConnectionRecord } from '../records.ts'
import type { Session } from '../session.ts'

/** What a connection takes a place as, before it exists. */
export interface Seat {
  readonly connectionId: string
  readonly userId: string
  readonly deviceId: string
  /** What limits per address count by. */
  readonly addressKey: string
}

/** Connections allowed over all instances; 0: no limit. */
export interface SeatLimits {
  readonly perUser: number
  /** What happens at the user's limit: nobody new is let in, or the oldest one's place is taken. */
  readonly perUserPolicy: 'reject' | 'close_oldest'
  readonly perAddress: number
  readonly total: number
}

/** Where a connection is. */
export interface Located {
  readonly connectionId: string
  readonly instance: string
}

export type Seating =
  /** It has a place. `evicted` has lost his to it, and is to be closed by the instance that has him. */
  | { readonly seated: true; readonly evicted: Located | undefined }
  /** Which limit is reached. */
  | { readonly seated: false; readonly full: 'user' | 'address' | 'total' }

/** A connection as the directory knows it. */
export interface Listed extends Located {
  readonly userId: string
  readonly deviceId: string
  /** As it was when it was written down, up to a minute ago; absent: it is only just opening. */
  readonly record: ConnectionRecord | undefined
  /** The rooms it is in now. */
  readonly rooms: readonly string[]
}

/** What connections are looked up by: at most one of these. What else is asked for, the caller sifts out. */
export interface Lookup {
  readonly userId?: string | undefined
  readonly addressKey?: string | undefined
  readonly room?: string | undefined
}

/** Somebody came to a room or went, and no instance was there to say so. */
export interface Passage {
  readonly room: string
  readonly userId: string
  readonly username: string | undefined
  /** Users in the room now. */
  readonly participants: number
  /** False: his last connection is gone with the instance that had it. True: that instance is back after all. */
  readonly came: boolean
}

export interface DirectoryListener {
  /** Told on one instance alone, whichever found it. */
  onPassage(passage: Passage): void
  /**
   * A connection of this process has no place any more: another has taken it, or it was given up while this instance was
   * thought dead and the limits do not allow it back. It MUST be closed.
   */
  onEvicted(connectionId: string): void
}

/** Methods that wait fail with a TidingsError `unavailable` where the directory cannot be reached. */
export interface Directory {
  /** Names the listener. MUST be called once. */
  listen(listener: DirectoryListener): void

  /** Takes a place for a connection. All instances together never give out more than the limits. */
  reserve(seat: Seat, limits: SeatLimits): Promise<Seating>

  /** Gives a place back, and takes the connection out of its rooms without a word. Unknown ones are ignored. */
  release(connectionId: string): void

  /**
   * Writes a connection down that is open now, or that has changed.
   * @returns false: its place was taken meanwhile, and it MUST be closed.
   */
  list(session: Session): Promise<boolean>

  /** The connections, oldest first. Those that come or go meanwhile may be in it or not. */
  connections(lookup: Lookup): AsyncIterable<Listed>

  /** One connection, wherever it is. */
  find(connectionId: string): Promise<Listed | undefined>

  /** Connections of a user, over all instances. */
  connectionsOf(userId: string): Promise<number>

  /** Connections in a room, over all instances. */
  connectionsIn(room: string): Promise<number>

  /** Rooms with somebody in them, in the order of their names. */
  rooms(after: string | undefined, limit: number): Promise<readonly string[]>

  /** How many there are over all instances. */
  totals(): Promise<{ readonly connections: number; readonly users: number; readonly rooms: number }>

  /** The instances that are alive, this one among them. */
  instances(): Promise<readonly string[]>

  /** Stops answering for connections, at once instead of when the lease is over. Called when the last is gone. */
  close(): MaybePromise<void>
}
