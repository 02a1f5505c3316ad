/** The border between the server's errors and HTTP: one shape of answer for every failure, with its status and headers. */
import { newCorrelationId } from '../core/ids.ts'
import type { Log } from '../core/log.ts'
import { TidingsError } from '../protocol/errors.ts'

/**
 * The answer for anything that was thrown. What is no `TidingsError` is logged with its cause and answered without it;
 * Elysia's own errors of routing and validation become ours, because its texts echo the input.
 */
export function errorResponse(thrown: unknown, log: Log, request: Request): Response {
  const error = TidingsError.from(thrown)
  const correlationId = newCorrelationId()
  const { pathname } = new URL(request.url)
  const fields = { method: request.method, path: pathname, correlation_id: correlationId, error_code: error.errorName }
  if (error.status >= 500 && error.cause !== undefined) log.error('http_failed', { ...fields, error: error.cause })
  else log.info('http_refused', { ...fields, reason: error.message })
  const body = { error: { ...error.toBody(), correlation_id: correlationId } }
  return Response.json(body, { status: error.status, headers: errorHeaders(error) })
}

function errorHeaders(error: TidingsError): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (error.status === 401) headers['www-authenticate'] = 'Bearer'
  if (error.status === 426) headers['upgrade'] = 'websocket'
  if (error.retryAfterMs !== undefined) headers['retry-after'] = String(Math.ceil(error.retryAfterMs / 1000))
  return headers
}
