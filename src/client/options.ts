/** What a client is told at its making, and a request at its sending. */
import type { Codec } from './codec.ts'
import type { Environment } from './environment.ts'
import type { TransportName } from './ladder.ts'
import type { TokenSource } from './token.ts'

export interface ClientOptions {
  /** The realtime endpoint, `http(s)` or `ws(s)`. Default in a page: `/realtime` of its own origin. */
  readonly url?: string
  /** The token, or a function that fetches one: before the first connection, before expiry, and after a refusal. */
  readonly token?: TokenSource
  /**
   * This device, where the token does not name it: keep it, and messages for it wait while it is away. Without one the
   * server makes one up for as long as the client lives.
   */
  readonly deviceId?: string
  /** Where an earlier client of this device stood: its `cursor`. */
  readonly cursor?: string
  /** Transports to use, from best to worst. Default: all three. */
  readonly transports?: readonly TransportName[]
  /** How frames are written on a WebSocket. Default: JSON. */
  readonly codec?: Codec
  /** Messages that may wait for a connection or an answer. Default 1000. */
  readonly maxQueued?: number
  /** Hears what nobody awaits: what listeners throw, a room that is lost, a frame that cannot be read. Default: console. */
  readonly onError?: (error: unknown) => void
  /** Replaces parts of the runtime, such as a `WebSocket` that it lacks; in tests clock and chance. */
  readonly environment?: Partial<Environment>
}

export interface RequestOptions {
  /** Milliseconds to wait for the answer, waiting for a connection included. Default 10,000. */
  readonly timeoutMs?: number
  /**
   * Handling it twice has one effect: then it is sent again where the connection was lost before the answer. Without it
   * such a request rejects with `connection_lost`, as it may have been handled.
   */
  readonly idempotent?: boolean
}
