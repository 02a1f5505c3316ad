/** The limits at the door: connects per second, connections per address, in total, and per user. */
import { TidingsError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Slots } from './ports/backend.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

export interface AdmissionLimits {
  readonly perUser: number
  readonly perUserPolicy: 'reject' | 'close_oldest'
  readonly perAddress: number
  readonly total: number
  readonly connectsPerSecond: number
}

export interface AdmissionDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly slots: Slots
  readonly limits: AdmissionLimits
  /** Closes a session in favour of a newer one. */
  readonly replace: (session: Session) => void
  /** Closes a session whose client has not answered. */
  readonly reap: (session: Session) => void
}

/** A place at the door. Released once, whether the connection came to be or not. */
export interface Reservation {
  release(): void
}

/** Milliseconds for which a handshake over the limit waits for a slot of a connection that may be dead. */
const SILENT_WAIT_MS = 1000
/** How often, in milliseconds, the waiting handshake looks. */
const SILENT_LOOK_MS = 25

interface Bucket {
  tokens: number
  at: number
}

export class Admission {
  private readonly deps: AdmissionDeps
  private readonly connects = new Map<string, Bucket>()
  private readonly pendingByAddress = new Map<string, number>()
  private pending = 0

  constructor(deps: AdmissionDeps) {
    this.deps = deps
  }

  /**
   * Counts one connect of an address, before anything expensive is done for it.
   * @throws TidingsError `rate_limited` with the time after which one is free again.
   */
  countConnect(address: string): void {
    const rate = this.deps.limits.connectsPerSecond
    if (rate === 0) return
    const now = this.deps.clock.monotonic()
    const bucket = this.connects.get(address) ?? { tokens: rate, at: now }
    this.connects.set(address, bucket)
    bucket.tokens = Math.min(rate, bucket.tokens + ((now - bucket.at) / 1000) * rate)
    bucket.at = now
    if (bucket.tokens < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.tokens) / rate) * 1000)
      throw new TidingsError('rate_limited', 'Connecting too fast', { retryAfterMs })
    }
    bucket.tokens -= 1
  }

  /**
   * Reserves a place for a connection of this address until it is registered or refused.
   * @throws TidingsError `connection_limit`: 429 for the address, 503 where the whole server is full.
   */
  reserveAddress(address: string): Reservation {
    const { registry, limits } = this.deps
    if (limits.total > 0 && registry.size + this.pending >= limits.total) {
      const options = { status: 503, close: 1013, retryAfterMs: FULL_RETRY_MS }
      throw new TidingsError('connection_limit', 'The server is full', options)
    }
    const waiting = this.pendingByAddress.get(address) ?? 0
    if (limits.perAddress > 0 && registry.byAddress.count(address) + waiting >= limits.perAddress) {
      throw new TidingsError('connection_limit', undefined, { retryAfterMs: LIMIT_RETRY_MS })
    }
    this.pending++
    this.pendingByAddress.set(address, waiting + 1)
    return once(() => this.forget(address))
  }

  /**
   * Reserves a slot of the user for a connection. Over the limit the oldest is closed, or those that have been silent are
   * asked for a sign of life and the dead ones make room.
   * @throws TidingsError `connection_limit`.
   */
  async reserveUser(userId: string, connectionId: string): Promise<void> {
    const { slots, limits, registry, replace } = this.deps
    const reserve = () => slots.reserve(userId, connectionId, limits.perUser)
    if (await reserve()) return
    if (limits.perUserPolicy === 'close_oldest') {
      const oldest = registry.byUser.first(userId)
      if (oldest !== undefined) replace(oldest)
      if (await reserve()) return
    } else {
      await this.askSilent(userId)
      if (await reserve()) return
    }
    throw new TidingsError('connection_limit', undefined, { retryAfterMs: LIMIT_RETRY_MS })
  }

  /** Forgets addresses that have not connected for a while. Called about once a second. */
  sweep(): void {
    const now = this.deps.clock.monotonic()
    for (const [address, bucket] of this.connects) if (now - bucket.at > 1000) this.connects.delete(address)
  }

  private async askSilent(userId: string): Promise<void> {
    const { clock, registry, reap } = this.deps
    const asked = clock.monotonic()
    const silent = [...registry.byUser.get(userId)].filter(
      ({ wire, lastInbound }) => wire.silence !== 'allowed' && asked - lastInbound > SILENT_WAIT_MS,
    )
    for (const session of silent) session.wire.probe('')
    const unanswered = () => silent.filter((session) => !session.closed && session.lastInbound < asked)
    while (unanswered().length > 0 && clock.monotonic() - asked < SILENT_WAIT_MS) {
      if (silent.some((session) => session.closed)) return
      await new Promise((resolve) => setTimeout(resolve, SILENT_LOOK_MS))
    }
    for (const session of unanswered()) reap(session)
  }

  private forget(address: string): void {
    this.pending--
    const waiting = (this.pendingByAddress.get(address) ?? 1) - 1
    if (waiting === 0) this.pendingByAddress.delete(address)
    else this.pendingByAddress.set(address, waiting)
  }
}

/** What a client is told that finds all slots of its user or address taken: another device may leave at any time. */
const LIMIT_RETRY_MS = 5000
/** What a client is told that finds the server full: time for others to leave or for another instance to start. */
const FULL_RETRY_MS = 10_000

function once(release: () => void): Reservation {
  let released = false
  return {
    release() {
      if (released) return
      released = true
      release()
    },
  }
}
