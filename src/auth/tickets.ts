/**
 * Tickets: what a client shows in an address in place of its token, because addresses end up in logs. A ticket opens one
 * session. Where the transport comes again and again with the same address, it is good for that very session as long as
 * it lives or can be resumed.
 */
import type { Clock } from '../core/clock.ts'
import type { Identity } from '../core/identity.ts'
import type { Closing, Observer } from '../core/observer.ts'
import type { Ticket, TicketHolder, Tickets } from '../core/ports/tickets.ts'
import { isLost } from '../core/resumable.ts'
import type { RevokedTokens } from '../core/revoked-tokens.ts'
import type { Session } from '../core/session.ts'
import { TidingsError } from '../protocol/errors.ts'

/** Milliseconds within which a ticket must be used: a page that asks for one connects right away. */
export const TICKET_TTL_MS = 30_000
/** Milliseconds for which a ticket is kept with a session. Renewed while the session lives: what a crash leaves ends. */
const HELD_TTL_MS = 15 * 60_000
const RENEW_INTERVAL_MS = HELD_TTL_MS / 3
const TICKET_BYTES = 32

export interface TicketOfficeDeps {
  readonly tickets: Tickets
  readonly revoked: RevokedTokens
  readonly clock: Clock
  /** Milliseconds for which a lost session can be resumed. */
  readonly resumeMs: number
}

/** What somebody gets who brings a ticket. */
export interface Redeemed {
  readonly identity: Identity
  /** The session that the ticket has opened before: the new one takes its place. */
  readonly former: TicketHolder | undefined
}

export class TicketOffice implements Observer {
  private readonly deps: TicketOfficeDeps
  /** Tickets of this process' sessions, by connection. */
  private readonly held = new Map<string, string>()
  private readonly timer: ReturnType<typeof setInterval>

  constructor(deps: TicketOfficeDeps) {
    this.deps = deps
    this.timer = setInterval(() => this.renew(), RENEW_INTERVAL_MS)
  }

  async issue(identity: Identity): Promise<string> {
    const id = crypto
      .getRandomValues(new Uint8Array(TICKET_BYTES))
      .toBase64({ alphabet: 'base64url', omitPadding: true })
    await this.deps.tickets.add(id, { identity }, TICKET_TTL_MS)
    return id
  }

  /**
   * Opens a session with a ticket.
   * @param again whether the transport brings its address again: then the ticket stays with the session.
   * @throws TidingsError `invalid_token` where it was used by somebody else or never given out; `token_expired`, `token_revoked` as
   *   the token is that it was traded for.
   */
  async redeem(id: string, holderOf: (former: Ticket) => TicketHolder, again: boolean): Promise<Redeemed> {
    const { tickets } = this.deps
    const ticket = await tickets.get(id)
    if (ticket === undefined || (ticket.holder !== undefined && !again)) throw invalid()
    this.checkToken(ticket)
    const { identity, holder: former } = ticket
    const holder = holderOf(ticket)
    if (!(await tickets.pass(id, former?.connectionId, { identity, holder }, HELD_TTL_MS))) throw invalid()
    if (former !== undefined) this.held.delete(former.connectionId)
    if (again) this.held.set(holder.connectionId, id)
    else await tickets.keep(id, holder.connectionId, 0)
    return { identity, former }
  }

  /**
   * Who a ticket is of that comes again for a living session.
   * @throws TidingsError `invalid_token`, `token_expired`, `token_revoked`.
   */
  async recognise(id: string, connectionId: string): Promise<Identity> {
    const ticket = await this.deps.tickets.get(id)
    if (ticket === undefined || ticket.holder?.connectionId !== connectionId) throw invalid()
    this.checkToken(ticket)
    return ticket.identity
  }

  /** No session came of a ticket that was redeemed. It is spent all the same. */
  cancel(connectionId: string): void {
    this.release(connectionId, 0)
  }

  closed(session: Session, { code }: Closing): void {
    this.release(session.connectionId, isLost(code) ? this.deps.resumeMs : 0)
  }

  /** Ends what runs by itself. */
  close(): void {
    clearInterval(this.timer)
  }

  private release(connectionId: string, ttlMs: number): void {
    const id = this.held.get(connectionId)
    if (id === undefined) return
    this.held.delete(connectionId)
    void this.deps.tickets.keep(id, connectionId, ttlMs)
  }

  private renew(): void {
    for (const [holder, id] of this.held) void this.deps.tickets.keep(id, holder, HELD_TTL_MS)
  }

  /** The token may have ended or been revoked since it was traded. */
  private checkToken({ identity, holder }: Ticket): void {
    const { clock, revoked } = this.deps
    if (identity.expiresAt !== undefined && identity.expiresAt <= clock.now()) throw new TidingsError('token_expired')
    revoked.check(identity, holder?.deviceId)
  }
}

function invalid(): TidingsError {
  return new TidingsError('invalid_token', 'The ticket is not valid')
}
