/** A key set that stays current: cached, read again when it is old or a key is missing, never lost to a failure. */

import { type Log, silentLog } from '../core/log.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isUrl, readSource } from './jwks-source.ts'
import { KeySetError } from './key-set-error.ts'
import { type PublicKey, parseJwks, selectKey } from './keys.ts'

/** Age at which a set is read again. A key that its issuer withdrew is honoured for at most about this long. */
const MAX_AGE_MS = 10 * 60_000
/** Least time between two attempts: tokens that name unknown keys must not make us hammer the issuer. */
const COOL_DOWN_MS = 10_000

export interface JwksOptions {
  readonly log?: Log
  /** Milliseconds that only grow: ages are not judged by a clock that somebody sets. */
  readonly monotonic?: () => number
}

export class Jwks {
  readonly source: string
  readonly #log: Log
  readonly #now: () => number
  readonly #closing = new AbortController()
  #keys: readonly PublicKey[] | undefined
  #loadedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #loading: Promise<void> | undefined

  /** @param source an http(s) URL or the path of a file; nothing is read before the first `find` or `reload`. */
  constructor(source: string, options: JwksOptions = {}) {
    this.source = source
    this.#log = options.log ?? silentLog
    this.#now = options.monotonic ?? (() => performance.now())
  }

  /**
   * The key for a token's header; `undefined` where the set has none.
   * Throws `unavailable` as long as no set could ever be read: the token may be good, so it must not be called bad.
   */
  async find(alg: string, kid: string | undefined): Promise<CryptoKey | undefined> {
    await this.#refresh()
    let key = selectKey(this.#keys ?? [], alg, kid)
    if (key === undefined && this.#mayTry()) {
      await this.#load().catch(ignore)
      key = selectKey(this.#keys ?? [], alg, kid)
    }
    if (key === undefined && this.#keys === undefined) {
      throw new TidingsError('unavailable', undefined, { cause: 'no key set could be read yet' })
    }
    return key
  }

  /** Reads the set now, whatever its age. Rejects with a `KeySetError` where that fails; the keys there were stay in use. */
  async reload(): Promise<void> {
    // A read that is under way may have begun before the change that the operator wants to see.
    while (this.#loading) await this.#loading.catch(ignore)
    try {
      await this.#load()
    } catch (cause) {
      throw new KeySetError(`auth.jwks cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
  }

  /** Ends a read that is under way. */
  close(): void {
    this.#closing.abort()
  }

  async #refresh(): Promise<void> {
    if (this.#now() - this.#loadedAt < MAX_AGE_MS) return
    // After a failure the old keys go on without a wait: an issuer that hangs must not make every handshake hang.
    const waits = this.#keys === undefined || this.#triedAt <= this.#loadedAt
    const loading = this.#mayTry() ? this.#load().catch(ignore) : undefined
    if (waits) await loading
  }

  /** Also true while a read is under way: who needs it joins it. */
  #mayTry(): boolean {
    return this.#loading !== undefined || this.#now() - this.#triedAt >= COOL_DOWN_MS
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(): Promise<void> {
    const startedAt = this.#now()
    try {
      const keys = await parseJwks(await readSource(this.source, this.#closing.signal))
      this.#keys = keys
      this.#loadedAt = startedAt
      this.#log.debug('jwks_loaded', { count: keys.length })
    } catch (error) {
      this.#log.warn('jwks_unavailable', {
        source: isUrl(this.source) ? 'url' : 'file',
        error,
        in_use: this.#keys?.length ?? 0,
      })
      throw error
    } finally {
      this.#triedAt = startedAt
    }
  }
}

function ignore(): void {}
