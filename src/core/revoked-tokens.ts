/** The revocations that this process knows, in memory: every token is held against them, and nobody waits for a store. */
import { TidingsError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Identity } from './identity.ts'
import { holdsFor, type Revocation, scopesOf, widened } from './revocation.ts'

/**
 * Revocations at a time. They are in every process's memory and read as a whole at a start; who needs more revokes by user
 * in place of by token, or says when the tokens end.
 */
export const MAX_REVOCATIONS = 100_000

export class RevokedTokens {
  private readonly byScope = new Map<string, Revocation>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /**
   * @param deviceId the device that the token is used for; absent: the one that it names.
   * @returns the identity, whose token may be used.
   * @throws TidingsError `token_revoked`
   */
  check(identity: Identity, deviceId?: string): Identity {
    if (this.has(identity, deviceId)) throw new TidingsError('token_revoked')
    return identity
  }

  /** Whether a token was revoked. */
  has(identity: Identity, deviceId = identity.deviceId): boolean {
    if (this.byScope.size === 0) return false
    const now = this.clock.now()
    return scopesOf(identity, deviceId).some((scope) => {
      const revocation = this.byScope.get(scope)
      return revocation !== undefined && holdsFor(revocation, identity, now)
    })
  }

  /**
   * @returns whether it was news. What is past its time is none. One that others keep is taken though there are too many:
   * to forget it would let its token in.
   */
  learn(revocation: Revocation): boolean {
    if (revocation.until <= this.clock.now()) return false
    const known = this.byScope.get(revocation.scope)
    const next = known === undefined ? revocation : widened(known, revocation)
    if (known?.issuedBefore === next.issuedBefore && known.until === next.until) return false
    this.byScope.set(revocation.scope, next)
    return true
  }

  /** @throws TidingsError `unavailable` where there is no room for one of this scope. */
  makeRoom(scope: string): void {
    if (this.byScope.size < MAX_REVOCATIONS || this.byScope.has(scope)) return
    this.sweep()
    if (this.byScope.size < MAX_REVOCATIONS) return
    const message = `${MAX_REVOCATIONS} revocations are kept, which is the limit: revoke by user, or with expires_at`
    throw new TidingsError('unavailable', message, { details: { max_revocations: MAX_REVOCATIONS } })
  }

  /** Those that a store does not have, or narrower. */
  *missingIn(kept: readonly Revocation[]): Iterable<Revocation> {
    const others = new Map(kept.map((revocation) => [revocation.scope, revocation]))
    const now = this.clock.now()
    for (const revocation of this.byScope.values()) {
      const { issuedBefore, until } = others.get(revocation.scope) ?? { issuedBefore: -1, until: -1 }
      if (until < revocation.until || issuedBefore < revocation.issuedBefore) {
        if (now < revocation.until) yield revocation
      }
    }
  }

  /** Forgets what is past its time. */
  sweep(): void {
    const now = this.clock.now()
    for (const [scope, { until }] of this.byScope) if (until <= now) this.byScope.delete(scope)
  }
}
