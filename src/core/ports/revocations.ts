/** Where revocations are kept that a restart and other instances must know. */
import type { MaybePromise } from '../maybe-promise.ts'
import type { Revocation } from '../revocation.ts'

/** What one addition has changed. Versions are opaque, and told to other instances. */
export interface RevocationChange {
  /** The version before it. */
  readonly before: string
  /** The version since it; the same where nothing has changed. */
  readonly version: string
}

export interface KeptRevocations {
  readonly version: string
  readonly revocations: readonly Revocation[]
}

/** Methods that wait fail with a TidingsError `unavailable` where the store cannot be reached. */
export interface Revocations {
  /**
   * Keeps a revocation until its time is over. One of the same scope is widened, never narrowed. MUST be repeatable, and
   * resolves when {@link all} has it on every instance.
   */
  add(revocation: Revocation): MaybePromise<RevocationChange>

  /**
   * All that are kept; some of them may be past their time.
   * @param known the version that the caller has read. Where that is the present one, `undefined` is answered.
   */
  all(known?: string): MaybePromise<KeptRevocations | undefined>
}
