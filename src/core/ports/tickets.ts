/** Where single-use tickets are kept until they are used, and as long as the session lives that they have opened. */
import type { Identity } from '../identity.ts'
import type { MaybePromise } from '../maybe-promise.ts'

/** A session that a ticket has opened. */
export interface TicketHolder {
  readonly connectionId: string
  readonly deviceId: string
}

/** What a ticket stands for. Plain data: a store may write it down. */
export interface Ticket {
  readonly identity: Identity
  /** Absent: it was not used yet. */
  readonly holder?: TicketHolder
}

export interface Tickets {
  /** Keeps a new ticket for `ttlMs` milliseconds. */
  add(id: string, ticket: Ticket, ttlMs: number): MaybePromise<void>
  /** The ticket, where its time is not up. */
  get(id: string): MaybePromise<Ticket | undefined>
  /**
   * Replaces a ticket, if it is still held by the connection `from` (absent: by none). MUST be atomic: of two who bring a
   * ticket at the same time one gets in.
   * @returns whether it was replaced.
   */
  pass(id: string, from: string | undefined, ticket: Ticket, ttlMs: number): MaybePromise<boolean>
  /**
   * Keeps a ticket for `ttlMs` from now; 0: forgets it. One that is not there, or that another connection than `holder`
   * has got meanwhile, is left alone.
   */
  keep(id: string, holder: string, ttlMs: number): MaybePromise<void>
}
