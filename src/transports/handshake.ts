/**
 * The door that every transport shares. It asks in a fixed order, the cheap before the dear, and answers the first thing
 * that fails: what a flooder makes the server do must cost the server least.
 */

import { type FoundCredentials, findCredentials } from '../auth/credentials.ts'
import { originAllowed } from '../auth/origin.ts'
import { clientAddress, limitKey, type TrustedProxies } from '../auth/proxies.ts'
import type { Reservation } from '../core/admission.ts'
import type { Hub } from '../core/hub.ts'
import type { Identity } from '../core/identity.ts'
import { newConnectionId } from '../core/ids.ts'
import { parseRoomList, type Start } from '../core/opening.ts'
import type { SessionInit } from '../core/session.ts'
import { parseCursor } from '../protocol/cursor.ts'
import { type Envelope, encodingFor, type Format } from '../protocol/encoding.ts'
import { TidingsError } from '../protocol/errors.ts'
import { toIdentifier } from '../protocol/names.ts'

export interface DoorDeps {
  readonly hub: Hub
  /** Verifies what was shown; asks the application first. `null`: nothing was shown that anybody knows. */
  readonly authenticate: (request: Request, token: string | undefined) => Promise<Identity | null>
  readonly allowedOrigins: readonly string[]
  readonly trustedProxies: TrustedProxies
  readonly cookieName: string | undefined
}

/** Somebody who may come in: a session can be made of it, or `cancel` gives everything back. */
export interface Admitted {
  readonly init: SessionInit
  readonly start: Start
  /** The subprotocol to answer. */
  readonly subprotocol: string | undefined
  /** The place at the door: to be released as soon as the session is registered. */
  readonly place: Reservation
  /** Gives everything back where no session came of it. */
  cancel(): void
}

/** What a request says of itself, read once. */
export interface Knock {
  readonly request: Request
  readonly query: URLSearchParams
  /** The other end of the TCP connection. */
  readonly peer: string
}

export class Door {
  private readonly deps: DoorDeps

  constructor(deps: DoorDeps) {
    this.deps = deps
  }

  /** The address that limits and records of a request go by. */
  addressOf(knock: Knock): string {
    return clientAddress(knock.peer, knock.request.headers.get('x-forwarded-for'), this.deps.trustedProxies)
  }

  /**
   * Lets a request in.
   * @param checkUpgrade throws where the request lacks what the transport needs.
   * @throws TidingsError the first thing that fails; nothing is held then.
   */
  async admit(knock: Knock, checkUpgrade: () => void): Promise<Admitted> {
    const { hub, allowedOrigins } = this.deps
    const { request } = knock
    if (hub.draining) throw new TidingsError('draining', undefined, { retryAfterMs: hub.config.drain.window_ms })
    checkUpgrade()
    const address = this.addressOf(knock)
    const key = limitKey(address)
    hub.admission.countConnect(key)
    const origin = request.headers.get('origin')
    if (!originAllowed(origin, request.headers.get('host'), allowedOrigins)) {
      throw new TidingsError('forbidden', 'This origin is not allowed', { details: { field: 'origin' } })
    }
    const place = hub.admission.reserveAddress(key)
    try {
      return await this.identify(knock, key, address, place)
    } catch (error) {
      place.release()
      throw error
    }
  }

  private async identify(knock: Knock, key: string, address: string, place: Reservation): Promise<Admitted> {
    const { hub } = this.deps
    const { request, query } = knock
    const { identity, subprotocol } = await this.authenticate(request, query)
    if (request.signal.aborted) throw new TidingsError('unavailable', 'The client has left')
    const connectionId = newConnectionId()
    const init: SessionInit = {
      connectionId,
      identity,
      deviceId: deviceOf(identity, query, connectionId),
      encoding: encodingFor(formatOf(subprotocol, query), envelopeOf(query)),
      explicitAck: query.get('ack') === 'explicit',
      durableDevice: identity.deviceId !== undefined || query.has('device_id'),
      ip: address,
      addressKey: key,
      userAgent: userAgentOf(request),
      connectedAt: hub.clock.now(),
      since: hub.clock.monotonic(),
    }
    const cursor = cursorOf(query)
    const former = query.get('resume')
    const kept = former === null ? undefined : hub.takeOver(former, identity.userId, init.deviceId)
    await hub.admission.reserveUser(identity.userId, connectionId)
    const start = { rooms: parseRoomList(query.get('rooms')), cursor, kept }
    const cancel = () => {
      place.release()
      hub.backend.slots.release(identity.userId, connectionId)
    }
    return { init, start, subprotocol, place, cancel }
  }

  /**
   * Who a request is of, by whatever it shows.
   * @throws TidingsError `authentication_required` where it shows nothing, or what the verifier says.
   */
  async authenticate(
    request: Request,
    query: URLSearchParams,
  ): Promise<{ identity: Identity; subprotocol: string | undefined }> {
    const found = this.credentialsOf(request, query)
    const token = found.credentials?.kind === 'token' ? found.credentials.value : undefined
    const identity = await this.deps.authenticate(request, token)
    if (identity === null) throw new TidingsError('authentication_required')
    return { identity, subprotocol: found.subprotocol }
  }

  /** What a request shows, unverified, and the subprotocol to answer. */
  credentialsOf({ headers }: Request, query: URLSearchParams): FoundCredentials {
    const { allowedOrigins, cookieName } = this.deps
    const origin = headers.get('origin')
    return findCredentials({
      query,
      authorization: headers.get('authorization'),
      protocols: headers.get('sec-websocket-protocol'),
      cookie: headers.get('cookie'),
      cookieName,
      originPresentAndAllowed: origin !== null && originAllowed(origin, headers.get('host'), allowedOrigins),
    })
  }
}

function deviceOf(identity: Identity, query: URLSearchParams, connectionId: string): string {
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

function formatOf(subprotocol: string | undefined, query: URLSearchParams): Format {
  if (subprotocol === 'tidings.v1.json') return 'json'
  if (subprotocol === 'tidings.v1.msgpack') return 'msgpack'
  const format = query.get('format') ?? 'json'
  if (format === 'json' || format === 'msgpack') return format
  throw new TidingsError('invalid_message', 'The format is json or msgpack', { details: { field: 'format' } })
}

function envelopeOf(query: URLSearchParams): Envelope {
  const envelope = query.get('envelope') ?? 'payload'
  if (envelope === 'payload' || envelope === 'data') return envelope
  throw new TidingsError('invalid_message', 'The envelope is payload or data', { details: { field: 'envelope' } })
}

function cursorOf(query: URLSearchParams): number | undefined {
  const text = query.get('cursor')
  if (text === null) return undefined
  const cursor = parseCursor(text)
  if (cursor !== undefined) return cursor
  throw new TidingsError('invalid_message', 'The cursor is malformed', { details: { field: 'cursor' } })
}

/** User agents longer than this are cut: they are kept for every connection. */
const MAX_USER_AGENT_LENGTH = 256

function userAgentOf(request: Request): string | undefined {
  return request.headers.get('user-agent')?.slice(0, MAX_USER_AGENT_LENGTH)
}
