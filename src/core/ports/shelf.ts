/** Small things that all instances share and that are gone after a while, such as what a lost connection had. */
import type { MaybePromise } from '../maybe-promise.ts'

/** Every method fails with a TidingsError `unavailable` where the shelf cannot be reached. */
export interface Shelf {
  /** Puts something down under a name, in place of what was there. */
  put(name: string, value: string, ttlMs: number): MaybePromise<void>
  /**
   * Puts something down where nothing is under that name. Of several who do so one succeeds.
   * @returns what was there; `undefined`: it is put down.
   */
  claim(name: string, value: string, ttlMs: number): MaybePromise<string | undefined>
  get(name: string): MaybePromise<string | undefined>
}
