/** The limits at the door: connects per second, connections per address, in total, and per user. */
import { TidingsError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Peers } from './peers.ts'
import type { Directory, Located, Seat, Seating, SeatLimits } from './ports/directory.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

export interface AdmissionLimits {
  readonly perUser: number
  readonly perUserPolicy: 'reject' | 'close_oldest'
  readonly perAddress: number
  readonly total: number
  /** Over all instances; 0: no limit. */
  readonly totalCluster: number
  readonly connectsPerSecond: number
}

export interface AdmissionDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly directory: Directory
  readonly peers: Peers
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

/** The kind of question that asks an instance to look after a user's silent connections. */
const REAP = 'reap'
/** The kind of question that has a connection closed whose place was taken. */
const REPLACE = 'replace'

export class Admission {
  private readonly deps: AdmissionDeps
  private readonly connects = new Map<string, Bucket>()
  private readonly pendingByAddress = new Map<string, number>()
  private pending = 0

  constructor(deps: AdmissionDeps) {
    this.deps = deps
    const { peers } = deps
    peers.answer(REAP, async ({ user_id }) => {
      if (typeof user_id === 'string') await this.askSilent(user_id)
    })
    peers.answer(REPLACE, ({ connection_id }) => {
      if (typeof connection_id === 'string') this.replaceHere(connection_id)
    })
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
      throw serverFull()
    }
    const waiting = this.pendingByAddress.get(address) ?? 0
    if (limits.perAddress > 0 && registry.byAddress.count(address) + waiting >= limits.perAddress) {
      throw limitReached()
    }
    this.pending++
    this.pendingByAddress.set(address, waiting + 1)
    return once(() => this.forget(address))
  }

  /**
   * Reserves a place for a connection of a known user, over the whole deployment. At the user's limit the oldest is
   * closed, or those that have been silent are asked for a sign of life and the dead ones make room.
   * @throws TidingsError `connection_limit`; `unavailable`: it cannot be asked for now.
   */
  async reserveSeat(seat: Seat): Promise<void> {
    const { perUser, perUserPolicy, perAddress, totalCluster } = this.deps.limits
    const limits = { perUser, perUserPolicy, perAddress, total: totalCluster }
    let seating = await this.reserve(seat, limits)
    if (!seating.seated && seating.full === 'user' && perUserPolicy === 'reject') {
      await this.askSilentEverywhere(seat.userId)
      seating = await this.reserve(seat, limits)
    }
    if (!seating.seated) throw seating.full === 'total' ? serverFull() : limitReached()
    if (seating.evicted !== undefined) this.replace(seating.evicted)
  }

  private reserve(seat: Seat, limits: SeatLimits): Seating | Promise<Seating> {
    return this.deps.directory.reserve(seat, limits)
  }

  private replace({ connectionId, instance }: Located): void {
    const { peers } = this.deps
    // An instance that does not hear it finds out by itself that the place is taken.
    if (peers.isElsewhere(instance)) peers.tell(instance, REPLACE, { connection_id: connectionId })
    else this.replaceHere(connectionId)
  }

  private replaceHere(connectionId: string): void {
    const session = this.deps.registry.get(connectionId)
    if (session !== undefined) this.deps.replace(session)
  }

  /** Forgets addresses that have not connected for a while. Called about once a second. */
  sweep(): void {
    const now = this.deps.clock.monotonic()
    for (const [address, bucket] of this.connects) if (now - bucket.at > 1000) this.connects.delete(address)
  }

  /** Has every instance that has connections of a user look after them. */
  private async askSilentEverywhere(userId: string): Promise<void> {
    const { directory, peers } = this.deps
    const elsewhere = new Set<string>()
    if (peers.here !== undefined) {
      for await (const page of directory.connections({ userId }))
        for (const { instance } of page) if (peers.isElsewhere(instance)) elsewhere.add(instance)
    }
    const asked = [...elsewhere].map((instance) =>
      peers.ask(instance, REAP, { user_id: userId }, SILENT_WAIT_MS * 2).catch(() => {}),
    )
    await Promise.all([this.askSilent(userId), ...asked])
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

function serverFull(): TidingsError {
  const options = { status: 503, close: 1013, retryAfterMs: FULL_RETRY_MS }
  return new TidingsError('connection_limit', 'The server is full', options)
}

function limitReached(): TidingsError {
  return new TidingsError('connection_limit', undefined, { retryAfterMs: LIMIT_RETRY_MS })
}

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
