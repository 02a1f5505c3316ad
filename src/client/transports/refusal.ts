/** What an HTTP answer that is not 200 means. */
import { ClientError } from '../error.ts'
import type { End } from './transport.ts'

/** Reads the server's refusal, or tells what else stood in the way: a proxy, another server, a portal. */
export async function refusalOf(response: Response): Promise<End> {
  const body = ((await response.json().catch(() => undefined)) as { error?: unknown } | undefined)?.error
  const error = ClientError.read(body)
  if (error !== undefined) return { kind: 'refused', error, body }
  const after = Number(response.headers.get('retry-after'))
  const retryAfterMs = after > 0 ? after * 1000 : undefined
  const message = `The answer was HTTP ${response.status}`
  return { kind: 'unreachable', error: new ClientError('unreachable', message, { retryAfterMs }) }
}

/** The end of a link whose request failed without an answer. */
export function failureOf(kind: End['kind'], cause: unknown): End {
  return { kind, error: new ClientError('unreachable', `The request failed: ${cause}`, { cause }) }
}

export function headersOf(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}
