/** One error for everything that can go wrong between a client and its server. */
import type { ErrorBody, ErrorName } from '../protocol/errors.ts'

/** What the client itself finds out; everything else is the server's word. */
export type ClientErrorName =
  /** No answer in time. */
  | 'timeout'
  /** The connection went while the answer was awaited. */
  | 'connection_lost'
  /** The server could not be reached, or closed the connection without a reason. */
  | 'unreachable'
  /** More messages wait for a connection than the queue may hold. */
  | 'queue_full'
  /** `close()` was called. */
  | 'closed'
  /** Something arrived that is no frame. */
  | 'bad_frame'
  /** The token provider threw. */
  | 'no_token'

/** Names that can be told apart; a server that is newer than this client, or a close, may have others. */
type Reason = ErrorName | ClientErrorName | (string & {})

export interface ClientErrorOptions {
  readonly code?: string | undefined
  readonly reconnect?: boolean | undefined
  readonly details?: Record<string, unknown> | undefined
  readonly retryAfterMs?: number | undefined
  readonly maybeDone?: boolean | undefined
  readonly cause?: unknown
}

export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** What happened: the server's `error_code` or close reason, or the client's own word for it. */
  readonly reason: Reason
  /** The server's family code, `RT_001` to `RT_009`; absent where the client found out itself. */
  readonly code: string | undefined
  /** Whether coming back the same way can help. */
  readonly reconnect: boolean
  readonly details: Record<string, unknown> | undefined
  /** Milliseconds after which a retry can succeed, where the server said so. */
  readonly retryAfterMs: number | undefined
  /** The message was sent and its answer is not known: it may have been processed. */
  readonly maybeDone: boolean

  constructor(reason: Reason, message: string, options: ClientErrorOptions = {}) {
    super(message, options)
    this.reason = reason
    this.code = options.code
    this.reconnect = options.reconnect ?? true
    this.details = options.details
    this.retryAfterMs = options.retryAfterMs
    this.maybeDone = options.maybeDone ?? false
  }

  /** What the server said, in an `error` frame or the body of a refusal; `undefined` where it is none of its errors. */
  static read(body: unknown): ClientError | undefined {
    const { code, error_code, message, reconnect, details, retry_after_ms } = (body ?? {}) as Partial<ErrorBody>
    if (typeof error_code !== 'string') return undefined
    return new ClientError(error_code, message ?? error_code, {
      code,
      reconnect,
      details,
      retryAfterMs: retry_after_ms,
    })
  }
}
