/**
 * Who is still there. At least one sweep a second looks at every connection: it pings, closes dead peers by the server's own clock
 * of inbound traffic (the runtime's idle timer is also reset by what the server sends), and watches tokens expire.
 */
import { formatCursor } from '../protocol/cursor.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

/** Most milliseconds between two looks at a connection. */
const MAX_LOOK_INTERVAL_MS = 1000
/** Looks that fit between a ping and the time-out. With fewer, a client that answers at once could be missed. */
const LOOKS_PER_ANSWER = 4
/** A look that comes this many intervals late was held up: clients that spoke meanwhile have not been read yet. */
const LATE_INTERVALS = 2

export interface HeartbeatDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Milliseconds before the end of a token at which its client is warned. */
  readonly expiryWarningMs: number
  /** The session's position, which a ping carries to the client and its pong brings back. */
  readonly position: (session: Session) => number
  readonly close: (session: Session, code: number, reason: string) => void
  readonly end: (session: Session, error: TidingsError) => void
}

export class Heartbeat {
  /** How often, in milliseconds, {@link sweep} is to be called. */
  readonly lookIntervalMs: number
  private readonly deps: HeartbeatDeps
  /** Monotonic milliseconds of the last sweep. */
  private looked: number

  constructor(deps: HeartbeatDeps) {
    this.deps = deps
    this.lookIntervalMs = Math.min(MAX_LOOK_INTERVAL_MS, (deps.timeoutMs - deps.intervalMs) / LOOKS_PER_ANSWER)
    this.looked = deps.clock.monotonic()
  }

  /**
   * Begins to watch a session. The first ping comes at a random part of the interval's second half: a crowd would be
   * pinged at once, and who has just said something needs none.
   */
  begin(session: Session): void {
    session.lastPing -= (Math.random() * this.deps.intervalMs) / 2
    this.watchToken(session)
  }

  /** Takes over the end of the session's credentials, on the clock that does not jump. */
  watchToken(session: Session): void {
    const { expiresAt } = session.identity
    const { clock } = this.deps
    session.expiresAt = expiresAt === undefined ? undefined : clock.monotonic() + expiresAt - clock.now()
    session.expiryWarned = false
  }

  /**
   * Looks at every session. A process that was stopped for a while or that held its event loop has read nobody
   * meanwhile: that time is nobody's silence, or all clients would be lost at once.
   */
  sweep(): void {
    const now = this.deps.clock.monotonic()
    const late = now - this.looked - this.lookIntervalMs
    const held = late > this.lookIntervalMs * LATE_INTERVALS ? late : 0
    this.looked = now
    for (const session of this.deps.registry.all()) {
      session.lastInbound = Math.min(now, session.lastInbound + held)
      this.look(session, now)
    }
  }

  /** Looks at one session's token: warns of its end, or ends the session. */
  lookAtToken(session: Session, now: number): void {
    if (session.expiresAt === undefined) return
    const left = session.expiresAt - now
    if (left <= 0) {
      this.deps.end(session, new TidingsError('token_expired'))
    } else if (left <= this.deps.expiryWarningMs && !session.expiryWarned && session.state !== 'connecting') {
      // Nothing comes before `welcome`, after which there is another look.
      session.expiryWarned = true
      const payload = { expires_in_ms: Math.round(left) }
      session.send({ type: 'token_expiring', payload, timestamp: toTimestamp(this.deps.clock.now()) })
    }
  }

  /** A client to which nothing came still learns that its position has moved, or it would ask for the past after a cut. */
  private tellPosition(session: Session, position: number): void {
    // An event stream has it in the id of its heartbeat, a poll in every answer.
    if (session.encoding.framing === 'sse' || session.fetching !== undefined) return
    if (session.toldPosition === position || session.gate !== undefined || session.state !== 'open') return
    session.toldPosition = position
    const cursor = formatCursor(position)
    session.send({ type: 'position', cursor, timestamp: toTimestamp(this.deps.clock.now()) })
  }

  private look(session: Session, now: number): void {
    const { intervalMs, timeoutMs } = this.deps
    // The next look may come too late: the promise is to close by the time-out, not after it.
    if (session.owesSigns && now - session.lastInbound + this.lookIntervalMs > timeoutMs) {
      this.deps.close(session, CLOSE.heartbeatTimeout, 'heartbeat_timeout')
      return
    }
    if (now - session.lastPing >= intervalMs) {
      session.lastPing = now
      // Before `welcome` nothing was sent: a pong that brought a position back would acknowledge what is still to come.
      if (session.state === 'connecting') {
        session.wire.probe('')
      } else {
        const position = this.deps.position(session)
        session.wire.probe(formatCursor(position))
        this.tellPosition(session, position)
      }
    }
    this.lookAtToken(session, now)
  }
}
