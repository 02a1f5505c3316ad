/** What the address of a connection says of it. Everything that is malformed is refused with the name of its field. */

import type { Identity } from '../core/identity.ts'
import { Interned } from '../core/interned.ts'
import type { Session } from '../core/session.ts'
import { parseCursor } from '../protocol/cursor.ts'
import type { Envelope, Format } from '../protocol/encoding.ts'
import { TidingsError } from '../protocol/errors.ts'
import { toIdentifier } from '../protocol/names.ts'

/** The device: as the credentials name it, else as the client does, else one for this connection alone. */
export function deviceOf(identity: Identity, query: URLSearchParams, connectionId: string): string {
  if (identity.deviceId !== undefined) return identity.deviceId
  const chosen = query.get('device_id')
  if (chosen === null) return `c-${connectionId}`
  const deviceId = toIdentifier(chosen)
  if (deviceId === undefined) {
    const details = { field: 'device_id' }
    throw new TidingsError('invalid_message', 'A device_id is 1 to 256 characters without control characters', {
      details,
    })
  }
  return deviceId
}

/**
 * What every transport needs on which the server answers a request with frames.
 * @throws TidingsError where somebody only wants to know whether the address is there, or wants another format.
 */
export function checkReceiver({ method }: Request, query: URLSearchParams): void {
  if (method !== 'GET') throw new TidingsError('not_found', 'This address does not take that method', { status: 405 })
  if ((query.get('format') ?? 'json') === 'json') return
  throw new TidingsError('invalid_message', 'This transport is JSON alone', { details: { field: 'format' } })
}

export function formatOf(subprotocol: string | undefined, query: URLSearchParams): Format {
  if (subprotocol === 'tidings.v1.json') return 'json'
  if (subprotocol === 'tidings.v1.msgpack') return 'msgpack'
  const format = query.get('format') ?? 'json'
  if (format === 'json' || format === 'msgpack') return format
  throw new TidingsError('invalid_message', 'The format is json or msgpack', { details: { field: 'format' } })
}

export function envelopeOf(query: URLSearchParams): Envelope {
  const envelope = query.get('envelope') ?? 'payload'
  if (envelope === 'payload' || envelope === 'data') return envelope
  throw new TidingsError('invalid_message', 'The envelope is payload or data', { details: { field: 'envelope' } })
}

/** @param header the position as the transport's own header has it; it wins over the address. */
export function cursorOf(query: URLSearchParams, header: string | null = null): number | undefined {
  const text = header ?? query.get('cursor')
  if (text === null) return undefined
  const cursor = parseCursor(text)
  if (cursor !== undefined) return cursor
  throw new TidingsError('invalid_message', 'The cursor is malformed', { details: { field: 'cursor' } })
}

/** User agents longer than this are cut: they are kept for every connection. */
const MAX_USER_AGENT_LENGTH = 256

/** Addresses and user agents: what many connections have in common is kept once. */
export const shared = new Interned()

export function userAgentOf(request: Request): string | undefined {
  const agent = request.headers.get('user-agent')?.slice(0, MAX_USER_AGENT_LENGTH)
  return agent === undefined ? undefined : shared.of(agent)
}

/** Whose a connection is. */
type Owned = Pick<Session, 'userId' | 'deviceId'>

/**
 * Whether a request may go on with a session.
 * @throws TidingsError `forbidden` where the session is another user's or another device's.
 */
export function checkOwner(session: Owned, identity: Identity, query: URLSearchParams): void {
  const device = identity.deviceId ?? query.get('device_id') ?? session.deviceId
  if (identity.userId === session.userId && device === session.deviceId) return
  throw new TidingsError('forbidden', 'The connection is of another user or device')
}
