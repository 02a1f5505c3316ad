/** What the core tells those who watch: logs, metrics, an application's hooks. A watcher never changes what happens. */
import type { TidingsError } from '../protocol/errors.ts'
import type { Session } from './session.ts'

/** How a connection ended. */
export interface Closing {
  /** The close code, ours or the client's; 1006 where the socket broke. */
  readonly code: number
  readonly reason: string
  readonly durationMs: number
}

export interface Observer {
  /** After `welcome` was sent. */
  opened?(session: Session): void
  /** Once for every session that was registered, after it was taken out of everything. */
  closed?(session: Session, closing: Closing): void
  /** A frame was refused or failed; the client was told under this correlation id. */
  failed?(session: Session, error: TidingsError, correlationId: string): void
  /** A handler held the event loop for this many milliseconds. */
  blocked?(session: Session, type: string, ms: number): void
}
