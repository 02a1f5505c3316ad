/**
 * The door that every transport shares. It asks in a fixed order, the cheap before the dear, and answers the first thing
 * that fails: what a flooder makes the server do must cost the server least.
 */

import { type FoundCredentials, findCredentials } from '../auth/credentials.ts'
import { originAllowed } from '../auth/origin.ts'
import { clientAddress, limitKey, type TrustedProxies } from '../auth/proxies.ts'
import type { TicketOffice } from '../auth/tickets.ts'
import type { Reservation } from '../core/admission.ts'
import type { Hub } from '../core/hub.ts'
import type { Identity } from '../core/identity.ts'
import { newConnectionId } from '../core/ids.ts'
import { parseRoomList, type Start } from '../core/opening.ts'
import type { Ticket, TicketHolder } from '../core/ports/tickets.ts'
import { openingRecord } from '../core/records.ts'
import type { SessionInit } from '../core/session.ts'
import type { TransportName } from '../core/wire.ts'
import { encodingFor, type Framing } from '../protocol/encoding.ts'
import { TidingsError } from '../protocol/errors.ts'
import { Arrivals } from './arrivals.ts'
import { cursorOf, deviceOf, envelopeOf, formatOf, shared, userAgentOf } from './parameters.ts'

export interface DoorDeps {
  readonly hub: Hub
  /** Verifies what was shown; asks the application first. `null`: nothing was shown that anybody knows. */
  readonly authenticate: (request: Request, token: string | undefined) => Promise<Identity | null>
  readonly allowedOrigins: readonly string[]
  readonly trustedProxies: TrustedProxies
  readonly cookieName: string | undefined
  readonly tickets: TicketOffice
}

/** How a transport lets clients in. */
export interface Entrance {
  readonly transport: TransportName
  /** Throws where the request lacks what the transport needs. */
  readonly check?: () => void
  /** What stands around the frames. */
  readonly framing?: Framing
  /** The client's position as the transport's own header has it; it wins over the address. */
  readonly position?: string | null
  /** A former connection that the client goes on with, where its address names none in `?resume=`. */
  readonly former?: string | undefined
  /** Its instance has just been asked something and has not answered. */
  readonly isSilent?: boolean
  /** The device that the client is known to be, where it names none: that of a connection that it goes on with. */
  readonly deviceId?: string | undefined
  /** Whether the client comes again with the same address, and so with the same ticket. */
  readonly comesAgain?: boolean
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
  private readonly arrivals = new Arrivals()

  constructor(deps: DoorDeps) {
    this.deps = deps
  }

  /** The address that limits and records of a request go by. */
  addressOf(knock: Knock): string {
    return clientAddress(knock.peer, knock.request.headers.get('x-forwarded-for'), this.deps.trustedProxies)
  }

  /**
   * Lets a request in.
   * @throws TidingsError the first thing that fails; nothing is held then.
   */
  async admit(knock: Knock, entrance: Entrance): Promise<Admitted> {
    const { hub } = this.deps
    if (hub.draining) throw new TidingsError('draining', undefined, { retryAfterMs: hub.config.drain.window_ms })
    entrance.check?.()
    const address = this.addressOf(knock)
    const key = limitKey(address)
    hub.admission.countConnect(key)
    this.checkOrigin(knock.request)
    const place = hub.admission.reserveAddress(key)
    const connectionId = newConnectionId()
    try {
      return await this.identify(knock, entrance, { connectionId, key, address, place })
    } catch (error) {
      this.deps.tickets.cancel(connectionId)
      place.release()
      throw error
    }
  }

  /**
   * Who sends a request that goes on with what is there, or that opens nothing.
   * @param connectionId the session that it goes on with: then the ticket of that session is good for it too.
   * @throws TidingsError the first thing that fails.
   */
  async recognise({ request, query }: Knock, connectionId?: string): Promise<Identity> {
    this.checkOrigin(request)
    const { credentials } = this.credentialsOf(request, query)
    if (credentials?.kind === 'ticket' && connectionId !== undefined) {
      return this.deps.tickets.recognise(credentials.value, connectionId)
    }
    return (await this.authenticate(request, query)).identity
  }

  /**
   * Trades what a request shows for a ticket. It counts as a connect of its address: a ticket is worth one.
   * @throws TidingsError the first thing that fails.
   */
  async issueTicket(knock: Knock): Promise<string> {
    this.deps.hub.admission.countConnect(limitKey(this.addressOf(knock)))
    return this.deps.tickets.issue(await this.recognise(knock))
  }

  private async identify(knock: Knock, entrance: Entrance, arrival: Arrival): Promise<Admitted> {
    const { hub } = this.deps
    const { request, query } = knock
    const { connectionId, key, address, place } = arrival
    await this.arrivals.enter()
    const { identity, subprotocol, former } = await this.credit(knock, entrance, connectionId)
    if (request.signal.aborted) throw new TidingsError('unavailable', 'The client has left')
    const init: SessionInit = {
      connectionId,
      identity,
      deviceId: former?.deviceId ?? entrance.deviceId ?? deviceOf(identity, query, connectionId),
      encoding: encodingFor(formatOf(subprotocol, query), envelopeOf(query), entrance.framing),
      explicitAck: query.get('ack') === 'explicit',
      durableDevice: identity.deviceId !== undefined || query.has('device_id'),
      ip: shared.of(address),
      addressKey: shared.of(key),
      userAgent: userAgentOf(request),
      connectedAt: hub.clock.now(),
      since: hub.clock.monotonic(),
    }
    const known = hub.revoker.known()
    if (known !== undefined) await known
    // Once more: only now it is known for which device the token is used.
    hub.revoked.check(identity, init.deviceId)
    const cursor = cursorOf(query, entrance.position)
    const rooms = parseRoomList(query.get('rooms'))
    const resumed = former?.connectionId ?? query.get('resume') ?? entrance.former
    const { userId } = identity
    const { deviceId } = init
    const { isSilent = false } = entrance
    const taken = resumed === undefined ? undefined : await hub.takeOver.of(resumed, { userId, deviceId }, isSilent)
    const record = openingRecord(init, entrance.transport)
    await hub.admission.reserveSeat({ connectionId, userId, deviceId, addressKey: key, former: resumed, record })
    const start = { rooms, cursor, former: taken }
    const cancel = () => {
      place.release()
      this.deps.tickets.cancel(connectionId)
      hub.backend.directory.release(connectionId)
    }
    return { init, start, subprotocol, place, cancel }
  }

  /** Who a request is of that opens a session, by a token or by a ticket. */
  private async credit({ request, query }: Knock, entrance: Entrance, connectionId: string): Promise<Credited> {
    const { credentials, subprotocol } = this.credentialsOf(request, query)
    if (credentials?.kind !== 'ticket') return { ...(await this.authenticate(request, query)), former: undefined }
    const holderOf = ({ identity, holder }: Ticket) => ({
      connectionId,
      deviceId: holder?.deviceId ?? deviceOf(identity, query, connectionId),
    })
    const redeemed = await this.deps.tickets.redeem(credentials.value, holderOf, entrance.comesAgain ?? false)
    return { ...redeemed, subprotocol }
  }

  /**
   * Who a request is of, by whatever it shows but a ticket: that opens a session and does nothing else.
   * @throws TidingsError `authentication_required` where it shows nothing, or what the verifier says.
   */
  async authenticate(
    request: Request,
    query: URLSearchParams,
  ): Promise<{ identity: Identity; subprotocol: string | undefined }> {
    const { credentials, subprotocol } = this.credentialsOf(request, query)
    if (credentials?.kind === 'ticket') throw new TidingsError('invalid_token', 'A ticket opens one session')
    const identity = await this.deps.authenticate(request, credentials?.value)
    if (identity === null) throw new TidingsError('authentication_required')
    return { identity, subprotocol }
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

  private checkOrigin({ headers }: Request): void {
    if (originAllowed(headers.get('origin'), headers.get('host'), this.deps.allowedOrigins)) return
    throw new TidingsError('forbidden', 'This origin is not allowed', { details: { field: 'origin' } })
  }
}

/** What is known of somebody at the door before who it is. */
interface Arrival {
  readonly connectionId: string
  readonly key: string
  readonly address: string
  readonly place: Reservation
}

interface Credited {
  readonly identity: Identity
  readonly subprotocol: string | undefined
  /** The session that the ticket has opened before. */
  readonly former: TicketHolder | undefined
}
