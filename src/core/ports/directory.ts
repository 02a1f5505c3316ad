/**
 * Who is connected where in a deployment: limits, lists, rooms. With many instances every one answers for its own
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
  /** The connection of the same user and device that it takes over: that one's place is free for it. */
  readonly former?: string | undefined
  /** What is told of it until it is open: its client may be back by another instance before that is written down. */
  readonly record?: ConnectionRecord | undefined
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
  /** It has a place. `evicted` has lost its own to it, and is to be closed by the instance that has it. */
  | { readonly seated: true; readonly evicted: Located | undefined }
  /** Which limit is reached. */
  | { readonly seated: false; readonly full: 'user' | 'address' | 'total' }

/**
 * Why a connection has lost its place: the limits give it to another, or somebody has ended the connection, for good or with
 * word that it may come back.
 */
export type Eviction = 'replaced' | 'ended' | 'ended_for_now'

/** A connection as the directory knows it. */
export interface Listed extends Located {
  readonly userId: string
  readonly deviceId: string
  /** When it came, by a clock of the directory's own: together with the id the place in every list. */
  readonly since: number
  /** As it was when it was written down, up to a minute ago; absent: there is none, for want of JSON. */
  readonly record: ConnectionRecord | undefined
  /** The rooms it is in now. */
  readonly rooms: readonly string[]
}

/** A place in a list of connections, whether that connection is still there or not. */
export type ListPlace = Pick<Listed, 'since' | 'connectionId'>

/** The order of all lists of connections. */
export function byAge(a: ListPlace, b: ListPlace): number {
  if (a.since !== b.since) return a.since - b.since
  return a.connectionId < b.connectionId ? -1 : a.connectionId > b.connectionId ? 1 : 0
}

/** What connections are looked up by: at most one of these. What else is asked for, the caller sifts out. */
export interface Lookup {
  readonly userId?: string | undefined
  /** Whosever device it is. */
  readonly deviceId?: string | undefined
  readonly addressKey?: string | undefined
  readonly room?: string | undefined
}

export interface DirectoryListener {
  /** A connection is gone with the instance that had it. Told on one instance alone, whichever found it. */
  onLost(connection: Listed): void
  /**
   * A connection of this process has no place any more: it was taken away, or was given up while this instance was
   * thought dead and the limits do not allow it back. It MUST be closed.
   */
  onEvicted(connectionId: string, why: Eviction): void
  /**
   * The others count this instance among the living again, who had given it up: from now on it is asked and told what all
   * of them are, and has missed what they were told meanwhile. Told before its connections are brought in again.
   */
  onReturned(): void
}

/** Methods that wait fail with a TidingsError `unavailable` where the directory cannot be reached. */
export interface Directory {
  /** Names the listener. MUST be called once. */
  listen(listener: DirectoryListener): void

  /** Takes a place for a connection. All instances together never give out more than the limits. */
  reserve(seat: Seat, limits: SeatLimits): MaybePromise<Seating>

  /**
   * Gives a place back, and takes the connection out of its rooms. Unknown ones are ignored.
   * @param gathered many go at once.
   */
  release(connectionId: string, gathered?: boolean): void

  /**
   * Gives a place back that counts for limits and lists, of a connection that is gone and stays in its rooms for a while.
   * MUST be followed by {@link release}.
   */
  vacate(connectionId: string): void

  /**
   * Takes a connection's place away, wherever it is: its instance closes it, as soon as it can if it does not answer now.
   */
  evict(connectionId: string, why: Eviction): MaybePromise<void>

  /**
   * Writes a connection down that has changed, or that is about to open: as open, for its client is told so meanwhile.
   * @returns why it has lost its place meanwhile: then it MUST be closed; `undefined`: it has it.
   */
  list(session: Session): MaybePromise<Eviction | undefined>

  /**
   * The connections behind a place in pages, oldest first. Those that come or go meanwhile may be in it or not.
   * @param after absent: from the beginning.
   */
  connections(lookup: Lookup, after?: ListPlace): AsyncIterable<readonly Listed[]>

  /** One connection, wherever it is. */
  find(connectionId: string): MaybePromise<Listed | undefined>

  /** Connections of a user, over all instances. */
  connectionsOf(userId: string): MaybePromise<number>

  /** Connections in a room, over all instances. */
  connectionsIn(room: string): MaybePromise<number>

  /** Rooms with somebody in them, in the order of their names. */
  rooms(after: string | undefined, limit: number): MaybePromise<readonly string[]>

  /** How many there are over all instances. */
  totals(): MaybePromise<{ readonly connections: number; readonly users: number; readonly rooms: number }>

  /** The instances that are alive, this one among them. */
  instances(): MaybePromise<readonly string[]>

  /** Stops answering for connections, at once instead of when the lease is over. Called when the last is gone. */
  close(): MaybePromise<void>
}
