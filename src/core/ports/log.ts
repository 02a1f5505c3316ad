/**
 * The message log: what must not be lost, in one order. A message is committed here, then told to the listener that
 * delivers it, and only then acknowledged to its publisher.
 */
import type { MaybePromise } from '../maybe-promise.ts'
import type { Completeness } from '../recoverable.ts'

/** How much of a topic is kept; the oldest goes first, by whichever limit is reached first. */
export interface Retention {
  /** Messages, at least 1. */
  readonly maxMessages: number
  /** Milliseconds, judged by {@link Entry.at}. */
  readonly maxAgeMs: number
}

/** A message to be stored. */
export interface Entry {
  /** What it is published to, such as `room:lobby` or `user:alice`. The log compares names and knows no more of them. */
  readonly topic: string
  /** The only device of a user's that the message is for; absent: for all. */
  readonly device?: string | undefined
  /** The message's own id. */
  readonly id: string
  /** The frame without its cursor, encoded once by the caller. Opaque to the log. */
  readonly body: string
  /** Wall time in milliseconds since 1970. */
  readonly at: number
  readonly retention: Retention
  /** Within a scope, such as a device, a key stores one message, however often it is tried. */
  readonly idempotency?: { readonly scope: string; readonly key: string } | undefined
  /** The connection that sent it. Told to the listener, not stored. */
  readonly origin?: string | undefined
}

/** The answer to a publisher. */
export interface Appended {
  readonly cursor: number
  readonly id: string
  /** The key was known: this is the first attempt's answer, and nothing was stored now. */
  readonly duplicate?: true
}

/** A message with its place in the order. */
export interface StoredMessage {
  readonly cursor: number
  readonly topic: string
  readonly device: string | undefined
  readonly id: string
  readonly body: string
  readonly at: number
  /** Only on its way to the listener of this process. */
  readonly origin?: string | undefined
}

/** What a reader may see. */
export interface Selection {
  /** Each once. */
  readonly topics: readonly string[]
  /** Messages for one device are left out unless it is this one. */
  readonly device?: string | undefined
}

/**
 * Called once for every commit, in cursor order, before the publishers learn of it.
 * @param batch the messages of the commit, in cursor order; empty where only time has passed.
 * @param head everything up to this cursor has now been told: the position of whoever has been given it all.
 */
export type CommitListener = (batch: readonly StoredMessage[], head: number) => void

/** Messages that cannot be told any more. */
export interface LogGap {
  /** The topics in which something may be missing; absent: in any. */
  readonly topics: readonly string[] | undefined
  /** What is missing came after this cursor, */
  readonly from: number
  /** and no later than this one. */
  readonly to: number
}

/**
 * Called where messages were stored, and lost or trimmed before they could be told: who is in these topics has missed
 * something, or may have. It comes in its place in the order: after what was told before it, and before what comes after.
 */
export type GapListener = (gap: LogGap) => void

/** How far a user's devices have come. */
export interface Positions {
  /** What this device acknowledged; absent: the log does not know the device. */
  readonly own: number | undefined
  /** The newest that any of the user's devices acknowledged; absent: it knows none. */
  readonly newest: number | undefined
}

/** Every method that waits or throws fails with a TidingsError `unavailable` where the store cannot be read or written. */
export interface MessageLog {
  /**
   * Stores a message. The order of the calls is the order of the cursors. Resolves after the commit and after the
   * listener was told.
   * @throws TidingsError (rejected) `unavailable` with `retryAfterMs`: too much is waiting, or the store cannot be
   * written; `internal_error`: this message alone cannot be stored.
   */
  append(entry: Entry): Promise<Appended>

  /** Names the listener. MUST be called once, before the first append. What the listener throws is logged, no more. */
  onCommitted(listener: CommitListener): void

  /**
   * Names who is told of gaps. A log that tells of everything it ever commits has none, and no such method.
   * As {@link onCommitted} otherwise.
   */
  onGap?(listener: GapListener): void

  /**
   * Has the listener told of a topic, or no more. A log that tells of every topic has no such method; with one that has,
   * the listener hears of no topic that nobody wants. MUST be called in pairs of `true` and `false`, once for each topic.
   *
   * Resolves, for `true`, when from then on every message of the topic with a cursor above {@link head} is told; what is
   * older can be read. A topic that was wanted a moment ago is told of still: then the answer comes at once.
   * @throws TidingsError (rejected) `unavailable`: it cannot be told of; it is as if it had not been wanted.
   */
  interest?(topic: string, wanted: boolean): MaybePromise<void>

  /** Everything up to this cursor has been told to the listener; every message that was not will have a greater one. */
  head(): number

  /**
   * Messages of one or several topics in cursor order: after `after`, up to and with `upTo`. Past {@link head} it is what
   * is stored at this moment, told or not.
   * @returns at most `limit`; fewer: there are no more.
   */
  read(selection: Selection, after: number, upTo: number, limit: number): MaybePromise<readonly StoredMessage[]>

  /** The last `count` messages of a topic that everyone may see, up to and with `upTo`, oldest first. */
  tail(topic: string, count: number, upTo: number): MaybePromise<readonly StoredMessage[]>

  /** How many messages a topic has after a cursor. */
  count(topic: string, after: number): MaybePromise<number>

  /**
   * What is needed to say whether a reader of the topic has missed anything.
   * @param position where the reader is, if that is all that is asked about: then the log may answer at once from what it
   * has in memory, and only what it says of that position, and of later ones, is true.
   */
  completeness(topic: string, position?: number): MaybePromise<Completeness>

  /** How far a device, and the user's others, have come. */
  positions(userId: string, deviceId: string): MaybePromise<Positions>

  /**
   * A device has processed everything up to a cursor; an older one than before only says that the device is there.
   * Written a moment later: after a crash a device may get the last few messages again, never too few.
   */
  acknowledge(userId: string, deviceId: string, cursor: number): void

  /**
   * Writes down at once what a device has acknowledged. Resolves when it is known to whoever opens the log; rejects where
   * the store cannot be written: then it is tried again. A log that only one process has open has no such method.
   */
  settle?(userId: string, deviceId: string): Promise<void>

  /**
   * The same for a device that the log did not know. Resolves when the log knows it after a crash too: taken for a new
   * device once more it would go on from where another of the user's stands, and miss what is between. Rejects where the
   * store cannot be written; it is tried again.
   */
  introduce(userId: string, deviceId: string, cursor: number): Promise<void>

  /** Why the last write failed, in words for an operator; absent: it did not. */
  readonly failing: string | undefined

  /** Writes what is waiting and marks a clean end. Appends that come later are refused. */
  close(): Promise<void>
}
