/** The border between the server and HTTP: every answer and every failure leaves here, in one shape, with its headers. */
import { causeOf } from '../core/cause.ts'
import { newCorrelationId } from '../core/ids.ts'
import type { Log } from '../core/log.ts'
import { type ErrorBody, TidingsError } from '../protocol/errors.ts'
import { encodeJson } from '../protocol/json.ts'
import { pathOf } from './address.ts'
import type { Cors } from './cors.ts'
import { outOfRange } from './input.ts'

/** Answers are data for programs: no browser may guess that they are a page, keep them or hand them out again. */
const HEADERS = {
  'content-type': 'application/json',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}

export class Border {
  readonly cors: Cors
  private readonly log: Log

  constructor(log: Log, cors: Cors) {
    this.log = log
    this.cors = cors
  }

  /** A value as JSON, with bytes as `{"$bin": …}`. */
  answer(request: Request, value: unknown, status = 200): Response {
    return this.encoded(request, encodeJson(value), status)
  }

  /** A value that is encoded already. */
  encoded(request: Request, json: string, status = 200): Response {
    return new Response(json, { status, headers: { ...HEADERS, ...this.cors.headers(request) } })
  }

  /**
   * The answer for anything that was thrown.
   * @param code Elysia's own name of the error, where it was Elysia that threw.
   */
  failure(request: Request, thrown: unknown, code: string | number = ''): Response {
    const error = TidingsError.from(inOurWords(thrown, code))
    return this.refusal(request, error, this.tell(request, error))
  }

  /** The answer for a failure that was logged already. */
  refusal(request: Request, error: TidingsError, body: FailureBody): Response {
    const response = this.answer(request, body, error.status)
    for (const [name, value] of Object.entries(errorHeaders(error))) response.headers.set(name, value)
    // Whoever wanted a WebSocket does nothing else with this connection: left open, each refusal would hold a descriptor.
    if (request.headers.has('upgrade')) response.headers.set('connection', 'close')
    return response
  }

  /**
   * Logs a failure and returns the body that tells of it. What is no `TidingsError` is logged with its cause and told
   * without it. What cannot be done for the moment is no failure of the request: whoever caused that has said so.
   */
  tell(request: Request, thrown: unknown): FailureBody {
    const error = TidingsError.from(thrown)
    const correlationId = newCorrelationId()
    const fields = {
      method: request.method,
      path: pathOf(request),
      correlation_id: correlationId,
      error_code: error.errorName,
    }
    if (error.status >= 500 && error.cause !== undefined && error.errorName !== 'unavailable')
      this.log.error('http_failed', { ...fields, error: error.cause })
    else this.log.info('http_refused', { ...fields, reason: error.message, cause: causeOf(error) })
    return { error: { ...error.toBody(), correlation_id: correlationId } }
  }
}

/** The body of a failed request. */
export interface FailureBody {
  readonly error: ErrorBody & { readonly correlation_id: string }
}

function errorHeaders(error: TidingsError): Record<string, string> {
  return {
    ...(error.status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(error.status === 426 && { upgrade: 'websocket' }),
    ...(error.retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(error.retryAfterMs / 1000)) }),
  }
}

/** Elysia's own errors in our words: its texts would echo what was sent. */
function inOurWords(thrown: unknown, code: string | number): unknown {
  switch (code) {
    case 'NOT_FOUND':
      return new TidingsError('not_found')
    case 'VALIDATION':
      return invalid(thrown)
    case 'PARSE': {
      // Whatever is thrown while a body is read arrives wrapped, what we threw too.
      const { cause } = thrown as Error
      return cause instanceof TidingsError
        ? cause
        : new TidingsError('invalid_message', 'The body is not JSON', { cause })
    }
    default:
      return thrown
  }
}

/** What Elysia's validation error has of use. */
interface ValidationProblem {
  /** Where: `query`, `params`, `body`, or `response` where it is our own answer that does not hold. */
  readonly type?: unknown
  readonly valueError?: { readonly path?: unknown } | undefined
}

function invalid(thrown: unknown): TidingsError {
  const { type, valueError } = thrown as ValidationProblem
  if (type === 'response') return new TidingsError('internal_error', undefined, { cause: thrown })
  // A number out of its range is found by its own schema alone, which does not know its name.
  if (type === 'property') return outOfRange()
  const field = typeof valueError?.path === 'string' ? valueError.path.slice(1).replaceAll('/', '.') : ''
  if (field === '') return new TidingsError('invalid_message', `The ${type} is not valid`)
  return new TidingsError('invalid_message', `Invalid ${field}`, { details: { field } })
}
