/**
 * The two tables of failure: what an error says to a client, and which close code ends a connection for it.
 * One class carries an error through the server; it becomes a frame, an HTTP answer or a close at the border.
 */

interface ErrorKind {
  /** The stable family code, `RT_001` to `RT_009`. */
  readonly code: string
  /** Whether coming back the same way can help. */
  readonly reconnect: boolean
  /** The HTTP status where the error answers a request. */
  readonly status: number
  /** The WebSocket close code where the error ends a connection. */
  readonly close: number
  /** Said when nothing more precise is known. */
  readonly message: string
}

/** Every error the server can say, by its `error_code`. */
export const ERRORS = {
  authentication_required: kind('RT_001', false, 403, 4003, 'Authentication is required'),
  invalid_token: kind('RT_002', false, 401, 4001, 'The token is not valid'),
  token_expired: kind('RT_002', false, 401, 4001, 'The token has expired'),
  token_revoked: kind('RT_002', false, 401, 4001, 'The token was revoked'),
  forbidden: kind('RT_003', false, 403, 4003, 'Not allowed'),
  disconnected: kind('RT_003', false, 403, 4003, 'Disconnected by an administrator'),
  invalid_message: kind('RT_004', false, 400, 1008, 'The message is not valid'),
  version_conflict: kind('RT_004', false, 409, 1008, 'The state has another version'),
  upgrade_required: kind('RT_004', false, 426, 1008, 'This address speaks WebSocket: send an upgrade request'),
  unknown_type: kind('RT_005', false, 404, 1008, 'No handler for this type'),
  not_found: kind('RT_005', false, 404, 1008, 'Not found'),
  rate_limited: kind('RT_006', true, 429, 4029, 'Too many requests'),
  connection_limit: kind('RT_007', true, 429, 4009, 'Max connections exceeded'),
  room_limit: kind('RT_007', true, 429, 4009, 'Max rooms exceeded'),
  payload_too_large: kind('RT_008', false, 413, 1009, 'The message is too large'),
  internal_error: kind('RT_009', true, 500, 1011, 'Internal error'),
  unavailable: kind('RT_009', true, 503, 1011, 'Temporarily unavailable'),
  ack_timeout: kind('RT_009', true, 503, 1011, 'No answer in time'),
  handler_timeout: kind('RT_009', true, 503, 1011, 'The handler took too long'),
  draining: kind('RT_009', true, 503, 1012, 'The server is shutting down'),
} as const satisfies Record<string, ErrorKind>

/** The `error_code` of an error: its name in the table. */
export type ErrorName = keyof typeof ERRORS

/** Closes that are not the consequence of one error frame. Codes from 4000 on are the application range of RFC 6455. */
export const CLOSE = {
  normal: 1000,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  unauthorized: 4001,
  forbidden: 4003,
  slowConsumer: 4008,
  replaced: 4009,
  heartbeatTimeout: 4010,
  rateLimited: 4029,
} as const

/** The payload of an `error` frame and the `error` member of an HTTP answer. */
export interface ErrorBody {
  code: string
  error_code: ErrorName
  message: string
  reconnect: boolean
  details?: Record<string, unknown>
  retry_after_ms?: number
}

export interface ErrorOptions {
  /** What the client may learn: names a field and a limit, never echoes the input. */
  details?: Record<string, unknown>
  /** Milliseconds after which a retry can succeed. */
  retryAfterMs?: number
  /** Overrides the table's advice, for example where an admin asks a client to come back. */
  reconnect?: boolean
  /** Overrides the table's status, for example 503 where the whole server is full. */
  status?: number
  /** The close code where the error ends a connection, in place of the table's. */
  close?: number
  /** Kept for the log, never for the client. */
  cause?: unknown
}

/** An error that may be said to a client. Anything else that is thrown becomes `internal_error` at the border. */
export class TidingsError extends Error {
  override readonly name = 'TidingsError'
  readonly errorName: ErrorName
  readonly details: Record<string, unknown> | undefined
  readonly retryAfterMs: number | undefined
  readonly reconnect: boolean
  readonly status: number
  readonly close: number

  constructor(errorName: ErrorName, message?: string, options: ErrorOptions = {}) {
    const kind = ERRORS[errorName]
    super(message ?? kind.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.errorName = errorName
    this.details = options.details
    this.retryAfterMs = options.retryAfterMs
    this.reconnect = options.reconnect ?? kind.reconnect
    this.status = options.status ?? kind.status
    this.close = options.close ?? kind.close
  }

  /** The family code, `RT_001` to `RT_009`. */
  get code(): string {
    return ERRORS[this.errorName].code
  }

  /** What goes on the wire: no stack, no cause. */
  toBody(): ErrorBody {
    return {
      code: this.code,
      error_code: this.errorName,
      message: this.message,
      reconnect: this.reconnect,
      ...(this.details && { details: this.details }),
      ...(this.retryAfterMs !== undefined && { retry_after_ms: this.retryAfterMs }),
    }
  }

  /** The border: a `TidingsError` passes, anything else becomes `internal_error` with the original as its cause. */
  static from(thrown: unknown): TidingsError {
    return thrown instanceof TidingsError ? thrown : new TidingsError('internal_error', undefined, { cause: thrown })
  }
}

/** A frame was for a connection that is gone. Its field tells a client that it is to come back, and not that it asked wrongly. */
export function connectionEnded(): TidingsError {
  return new TidingsError('not_found', 'The connection has ended', { details: { field: 'connection_id' } })
}

function kind(code: string, reconnect: boolean, status: number, close: number, message: string): ErrorKind {
  return { code, reconnect, status, close, message }
}
