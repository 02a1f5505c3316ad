/** What a backend or an operator asks over HTTP. */
import { newSecret } from '../../src/config.ts'
import { decodeJson } from '../../src/protocol/json.ts'

/** An API key of this run: in production a well-known one is refused. */
export const ADMIN_KEY = newSecret()

export interface Asking {
  /** In place of the admin key; null: none. */
  readonly token?: string | null
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Asks as an admin. A string as body is sent as it stands. */
export async function ask(url: string, method: string, path: string, asking: Asking = {}): Promise<Answered> {
  const { token = ADMIN_KEY, body, headers } = asking
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : decodeJson(text, { maxDepth: 0, maxKeys: 0 }),
  }
}

/** Status and body of an answer: what most tests compare. */
export async function told(url: string, method: string, path: string, asking: Asking = {}) {
  const { status, body } = await ask(url, method, path, asking)
  return { status, body }
}

/** The error in a failed answer, without what differs each time. */
export async function refused(url: string, method: string, path: string, asking: Asking = {}) {
  const { status, body } = await ask(url, method, path, asking)
  const { correlation_id, ...error } = (body as { error: Record<string, unknown> }).error
  if (typeof correlation_id !== 'string') throw new Error('an error without a correlation_id')
  return { status, error }
}

let made = 0

/** A name that nobody else has: tests share a server. */
export function unique(what: string): string {
  return `${what}-${++made}`
}
