/** Verifies tokens. The algorithms are fixed per kind of key: a secret checks HMACs, a key set checks signatures. */

import type { KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import type { Config } from '../config.ts'
import type { Identity } from '../core/identity.ts'
import type { Log } from '../core/log.ts'
import { type ClaimChecks, identityOf } from './claims.ts'
import { checkHmac, importSecrets, isHmacAlgorithm } from './hmac.ts'
import { Jwks, type JwksOptions } from './jwks.ts'
import { type CompactToken, decodeObject, invalidToken, parseCompact } from './token.ts'

/** The part of the configuration that says which tokens are good. An empty `algorithms` means the defaults. */
export type AuthOptions = Pick<
  Config['auth'],
  'secret' | 'previous_secrets' | 'jwks' | 'algorithms' | 'issuer' | 'audience' | 'require_exp' | 'clock_tolerance_ms'
>

export interface Verifier {
  /**
   * Rejects with `token_expired` or `invalid_token`, or with `unavailable` as long as the key set could not be read.
   * With neither a secret nor a key set every token is invalid.
   */
  verify(token: string): Promise<Identity>
  /**
   * Reads the key set again, and takes new options where they are given. To be awaited once at the start, so that a
   * missing key file is noticed there. Where it rejects, everything stays as it was.
   */
  reload(options?: AuthOptions): Promise<void>
  close?(): void
}

export interface VerifierDeps {
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Milliseconds that only grow, for the age of the key set. */
  readonly monotonic?: () => number
  readonly log?: Log
}

const DEFAULT_HMAC = ['HS256']
const DEFAULT_SIGNATURE = ['RS256', 'ES256', 'EdDSA']

/** Throws where a secret is too short or no key is of an allowed algorithm: the operator's errors. Reads nothing yet. */
export function createVerifier(options: AuthOptions, deps: VerifierDeps = {}): Verifier {
  return new TokenVerifier(options, deps)
}

interface Trust {
  readonly secrets: readonly KeyObject[]
  readonly jwks: Jwks | undefined
  readonly algorithms: ReadonlySet<string>
  readonly checks: ClaimChecks
}

class TokenVerifier implements Verifier {
  readonly #now: () => number
  readonly #jwksOptions: JwksOptions
  #trust: Trust

  constructor(options: AuthOptions, deps: VerifierDeps) {
    this.#now = deps.now ?? Date.now
    this.#jwksOptions = {
      ...(deps.log && { log: deps.log }),
      ...(deps.monotonic && { monotonic: deps.monotonic }),
    }
    this.#trust = this.#read(options, undefined)
  }

  async verify(token: string): Promise<Identity> {
    const parsed = parseCompact(token)
    const trust = this.#trust
    if (!trust.algorithms.has(parsed.alg)) throw invalidToken('the algorithm is not allowed')
    if (isHmacAlgorithm(parsed.alg)) checkHmac(parsed, trust.secrets)
    else await checkSignature(token, parsed, trust.jwks)
    return identityOf(decodeObject(parsed.payload), trust.checks, this.#now())
  }

  async reload(options?: AuthOptions): Promise<void> {
    const before = this.#trust
    const next = options ? this.#read(options, before.jwks) : before
    try {
      await next.jwks?.reload()
    } catch (error) {
      if (next.jwks !== before.jwks) next.jwks?.close()
      throw error
    }
    this.#trust = next
    if (next.jwks !== before.jwks) before.jwks?.close()
  }

  close(): void {
    this.#trust.jwks?.close()
  }

  #read(options: AuthOptions, previous: Jwks | undefined): Trust {
    const secrets = importSecrets([
      ...(options.secret === undefined ? [] : [options.secret]),
      ...options.previous_secrets,
    ])
    const { jwks: source } = options
    return {
      secrets,
      // The same set goes on with its keys: they stay when the issuer is down at this very moment.
      jwks:
        source === undefined ? undefined : previous?.source === source ? previous : new Jwks(source, this.#jwksOptions),
      algorithms: allowed(options, secrets.length > 0),
      checks: {
        issuer: options.issuer,
        audience: options.audience,
        requireExp: options.require_exp,
        toleranceMs: options.clock_tolerance_ms,
      },
    }
  }
}

/** The algorithms for which there is a kind of key. */
function allowed({ algorithms, jwks }: AuthOptions, hasSecret: boolean): Set<string> {
  const usable = (alg: string): boolean => (isHmacAlgorithm(alg) ? hasSecret : jwks !== undefined)
  const wanted = algorithms.length > 0 ? algorithms : [...DEFAULT_HMAC, ...DEFAULT_SIGNATURE]
  const found = new Set<string>(wanted.filter(usable))
  if (found.size === 0 && (hasSecret || jwks !== undefined)) {
    throw new Error(
      `auth.algorithms allows ${wanted.join(', ')}, but no key is of that kind: HS256, HS384 and HS512 need auth.secret, the others auth.jwks`,
    )
  }
  return found
}

async function checkSignature(token: string, { alg, kid }: CompactToken, jwks: Jwks | undefined): Promise<void> {
  const key = await jwks?.find(alg, kid)
  if (key === undefined) throw invalidToken('no key of that kid and algorithm')
  try {
    await compactVerify(token, key, { algorithms: [alg] })
  } catch (cause) {
    throw invalidToken(cause)
  }
}
