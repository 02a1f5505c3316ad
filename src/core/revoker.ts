/**
 * Takes tokens back, over all instances: what is revoked is kept first, so that whoever starts or comes back knows it;
 * then every instance is told, closes what it has, and answers. What one has missed it finds when it looks again.
 */
import { TidingsError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { type Peers, UNANSWERED_RETRY_MS } from './peers.ts'
import type { Directory } from './ports/directory.ts'
import type { RevocationChange, Revocations } from './ports/revocations.ts'
import type { Registry } from './registry.ts'
import { addresseeOf, type Revocation, readRevocation } from './revocation.ts'
import type { RevokedTokens } from './revoked-tokens.ts'
import type { Session } from './session.ts'

/**
 * Connections ended in one turn of the event loop. Each end also tells the rooms it was in; a slice this size takes a few
 * milliseconds, so that ending 50,000 does not keep the others waiting.
 */
const SLICE = 100
/** The kind of question that tells of a revocation. */
const REVOKE = 'revoke'
/** Milliseconds within which an instance has ended what was revoked. */
const PATIENCE_MS = 5000
/** Milliseconds between two looks at what is kept: one question of a few bytes, where nothing is new. */
const LOOK_MS = 3000
/**
 * Milliseconds since the last look for which an instance takes itself to know what was revoked. Well below the lease: one
 * that was cut off for so long that nobody told it any more, and nobody missed its answer, has to look first.
 */
const KNOWN_MS = 6000
/** Milliseconds between two walks over what is known, to forget what is past its time. */
const FORGET_MS = 60_000
/** Revocations that are put back at a time where the store has lost them. */
const PUT_BACK = 100

export interface RevokerDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly directory: Directory
  readonly peers: Peers
  readonly store: Revocations
  readonly revoked: RevokedTokens
  readonly log: Log
  readonly end: (session: Session, error: TidingsError) => void
}

export class Revoker {
  private readonly deps: RevokerDeps
  /** What of the store is known; absent: nothing yet. */
  private version: string | undefined
  /** Monotonic milliseconds of the next look. */
  private next: number
  /** The same of the next walk. */
  private forgetAt: number
  /** Monotonic milliseconds at which the last look began; below all others where that failed. */
  private lookedAt = Number.NEGATIVE_INFINITY
  /** The same from which on it is told of revocations: a look that began before it may have missed one. */
  private toldSince = Number.NEGATIVE_INFINITY
  private looking: Promise<void> | undefined

  constructor(deps: RevokerDeps) {
    this.deps = deps
    const now = deps.clock.monotonic()
    this.next = now + LOOK_MS
    this.forgetAt = now + FORGET_MS
    deps.peers.answer(REVOKE, ({ revocation, before, version }) => this.told(revocation, before, version))
  }

  /** Learns what was revoked before. To be awaited before anybody comes in; whoever did is looked at, too. */
  begin(): Promise<void> {
    return this.look()
  }

  /**
   * To be awaited before somebody is let in: an instance that was cut off was not told of what was revoked meanwhile, and
   * reads it first. `undefined` where there is nothing to wait for.
   * @throws TidingsError (rejected) `unavailable`: the store cannot be reached.
   */
  known(): Promise<void> | undefined {
    return this.isKnown ? undefined : this.learn()
  }

  /** This instance was not told of what was revoked until now, and is from now on. */
  missed(): void {
    const now = this.deps.clock.monotonic()
    this.toldSince = now
    this.lookedAt = Number.NEGATIVE_INFINITY
    this.next = now
  }

  /**
   * Revokes tokens and ends the connections that were opened with them. Resolves when that was done on every instance.
   * @returns how many connections were ended.
   * @throws TidingsError (rejected) `unavailable`: there are too many revocations or the store cannot be reached, and nothing
   * was done; or an instance has not answered. Then it is revoked all the same, and can be asked for again.
   */
  async revoke(revocation: Revocation): Promise<number> {
    const { directory, peers, revoked, store } = this.deps
    revoked.makeRoom(revocation.scope)
    const change = await store.add(revocation)
    const here = this.apply(revocation, change)
    const others = (await directory.instances()).filter((instance) => peers.isElsewhere(instance))
    const ended = await Promise.all([here, ...others.map((instance) => this.tell(instance, revocation, change))])
    return ended.reduce((sum, count) => sum + count, 0)
  }

  /** Called about once a second. */
  sweep(): void {
    const { clock, log, peers, revoked } = this.deps
    const now = clock.monotonic()
    if (now >= this.forgetAt) {
      this.forgetAt = now + FORGET_MS
      revoked.sweep()
    }
    // What nobody else writes to needs no second look.
    if (peers.here === undefined || now < this.next || this.looking !== undefined) return
    this.next = now + LOOK_MS
    this.look().catch((error) => {
      // As soon as it can: until then whoever it has under a revoked token stays.
      this.next = clock.monotonic()
      log.debug('revocations_unread', { error })
    })
  }

  private get isKnown(): boolean {
    const { clock, peers } = this.deps
    return peers.here === undefined || clock.monotonic() - this.lookedAt < KNOWN_MS
  }

  /** One look may have been under way for too long: the second began now. */
  private async learn(): Promise<void> {
    await this.look()
    if (!this.isKnown) await this.look()
  }

  private look(): Promise<void> {
    const began = this.deps.clock.monotonic()
    this.looking ??= this.read()
      .then(
        () => {
          if (began >= this.toldSince) this.lookedAt = began
        },
        (error) => {
          this.lookedAt = Number.NEGATIVE_INFINITY
          throw error
        },
      )
      .finally(() => {
        this.looking = undefined
      })
    return this.looking
  }

  private async read(): Promise<void> {
    const { registry, revoked, store } = this.deps
    const kept = await store.all(this.version)
    if (kept === undefined) return
    const isNews = kept.revocations.map((revocation) => revoked.learn(revocation)).includes(true)
    if (isNews) await this.endAll(registry.all())
    await this.putBack([...revoked.missingIn(kept.revocations)])
    this.version = kept.version
  }

  /** A store that was emptied or failed over has lost what this process still knows. */
  private async putBack(missing: readonly Revocation[]): Promise<void> {
    if (missing.length > 0) this.deps.log.warn('revocations_put_back', { count: missing.length })
    for (let at = 0; at < missing.length; at += PUT_BACK) {
      await Promise.all(missing.slice(at, at + PUT_BACK).map((revocation) => this.deps.store.add(revocation)))
    }
  }

  private async tell(instance: string, revocation: Revocation, change: RevocationChange): Promise<number> {
    const { directory, peers } = this.deps
    try {
      return Number(await peers.ask(instance, REVOKE, { revocation, ...change }, PATIENCE_MS))
    } catch (cause) {
      // One that is gone has no connections any more.
      if (!(await directory.instances()).includes(instance)) return 0
      const message = 'Revoked, but an instance has not answered whether its connections are closed'
      throw new TidingsError('unavailable', message, { retryAfterMs: UNANSWERED_RETRY_MS, cause })
    }
  }

  private told(told: unknown, before: unknown, version: unknown): Promise<number> | number {
    const revocation = readRevocation(Object(told))
    if (revocation === undefined || typeof before !== 'string' || typeof version !== 'string') return 0
    return this.apply(revocation, { before, version })
  }

  private apply(revocation: Revocation, { before, version }: RevocationChange): Promise<number> {
    this.deps.revoked.learn(revocation)
    // Whoever knew everything before it knows everything now, and need not read it all again.
    if (this.version === before) this.version = version
    return this.endAll(this.candidates(revocation))
  }

  private candidates({ scope }: Revocation): Iterable<Session> {
    const { registry } = this.deps
    const { tokenId, userId } = addresseeOf(scope)
    if (userId !== undefined) return registry.byUser.get(userId)
    const all = [...registry.all()]
    return tokenId === undefined ? all : all.filter(({ identity }) => identity.tokenId === tokenId)
  }

  /** Ends those of some connections whose token was revoked. */
  private async endAll(sessions: Iterable<Session>): Promise<number> {
    const { end, revoked } = this.deps
    const concerned = [...sessions].filter(({ identity, deviceId }) => revoked.has(identity, deviceId))
    let ended = 0
    for (const [n, session] of concerned.entries()) {
      if (n > 0 && n % SLICE === 0) await new Promise((resolve) => setImmediate(resolve))
      // It may have gone meanwhile, or on under a fresh token.
      if (session.closed || !revoked.has(session.identity, session.deviceId)) continue
      end(session, new TidingsError('token_revoked'))
      ended++
    }
    return ended
  }
}
