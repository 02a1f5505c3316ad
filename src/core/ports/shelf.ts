/** Small things that all instances share and that are gone after a while, such as what a lost connection had. */
import type { MaybePromise } from '../maybe-promise.ts'

/** Every method fails with a TidingsError `unavailable` where the shelf cannot be reached. */
export interface Shelf {
  /** Puts something down under a name, in place of what was there. */
  put(name: string, value: string, ttlMs: number): MaybePromise<void>
  get(name: string): MaybePromise<string | undefined>
  /** Gets something and removes it: of several who take it, one has it. */
  take(name: string): MaybePromise<string | undefined>
}
