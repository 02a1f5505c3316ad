/** What no single key can tell: keys that must fit each other, and secrets that must be worth the name. */

import { isPlaceholder } from './placeholders.ts'
import type { Config } from './schema.ts'
import type { Report, Values } from './sources.ts'

/** RFC 7518, 3.2: an HMAC key is at least as long as the hash, which is 32 bytes for SHA-256. */
const MIN_SECRET_BYTES = 32

/** What a check needs besides the values. */
export interface Circumstances {
  readonly development: boolean
  /** Tokens may be verified by something else than the configuration, so that no key is needed. */
  readonly keysOptional: boolean
  /** Where the values came from; what was refused is not reported as missing too. */
  readonly values: Values
}

export function checkTogether(
  config: Config,
  { development, keysOptional, values }: Circumstances,
  report: Report,
): void {
  const { auth, admin, heartbeat } = config
  const origin = (key: string): string => values.origins.get(key) ?? key
  const refused = (...keys: string[]): boolean => keys.some((key) => values.refused.has(key))
  const fresh = 'run `tidings token --new-secret` for a fresh one'

  const secrets: [key: string, secret: string][] = auth.previous_secrets.map((secret) => [
    'auth.previous_secrets',
    secret,
  ])
  if (auth.secret !== undefined) secrets.unshift(['auth.secret', auth.secret])
  for (const [key, secret] of secrets) {
    const bytes = Buffer.byteLength(secret)
    if (bytes < MIN_SECRET_BYTES) {
      report(`${origin(key)}: expected a secret of at least ${MIN_SECRET_BYTES} bytes, found ${bytes}; ${fresh}`)
    }
  }
  const guarded = [...secrets, ...admin.keys.map((value): [string, string] => ['admin.keys', value])]
  for (const [key, value] of development ? [] : guarded) {
    // What is too short has been reported as that.
    if (Buffer.byteLength(value) >= MIN_SECRET_BYTES && isPlaceholder(value)) {
      report(`${origin(key)}: expected a random value, found a well-known or repetitive one; ${fresh}`)
    }
  }
  const keyless = auth.secret === undefined && auth.jwks === undefined
  if (keyless && !keysOptional && !refused('auth.secret', 'auth.jwks')) {
    const set = 'set TIDINGS_AUTH_SECRET to the output of `tidings token --new-secret`, or auth.jwks'
    report(`${origin('auth.secret')}: expected a secret or auth.jwks in production, found neither; ${set}`)
  }

  checkAlgorithms(auth, keysOptional, values, report)

  if (heartbeat.timeout_ms <= heartbeat.interval_ms) {
    report(
      `${origin('heartbeat.timeout_ms')}: expected more than heartbeat.interval_ms, which is ${heartbeat.interval_ms}, found ${heartbeat.timeout_ms}; between two pings every idle client would be lost`,
    )
  }
}

/** Every algorithm needs a key of its kind, and every key an algorithm: otherwise one of the two was forgotten. */
function checkAlgorithms(auth: Config['auth'], keysOptional: boolean, values: Values, report: Report): void {
  if (['auth.secret', 'auth.jwks', 'auth.algorithms'].some((key) => values.refused.has(key))) return
  const label = values.origins.get('auth.algorithms') ?? 'auth.algorithms'
  const symmetric = auth.algorithms.filter((algorithm) => algorithm.startsWith('HS'))
  const asymmetric = auth.algorithms.filter((algorithm) => !algorithm.startsWith('HS'))
  if (auth.secret === undefined && symmetric.length > 0 && !keysOptional) {
    report(`${label}: expected auth.secret for ${symmetric.join(', ')}, found none`)
  }
  if (auth.jwks === undefined && asymmetric.length > 0 && !keysOptional) {
    report(`${label}: expected auth.jwks for ${asymmetric.join(', ')}, found none`)
  }
  if (auth.secret !== undefined && symmetric.length === 0) {
    report(`${label}: expected HS256, HS384 or HS512 for auth.secret, found ${asymmetric.join(', ') || 'none'}`)
  }
  if (auth.jwks !== undefined && asymmetric.length === 0) {
    report(`${label}: expected RS256, ES256 or EdDSA for auth.jwks, found ${symmetric.join(', ') || 'none'}`)
  }
}
