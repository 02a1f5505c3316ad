/**
 * Signatures by a shared secret. Computed here and not by jose: each costs 2 us in place of 40, which is what
 * thousands of clients that come back at once wait for.
 */

import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { type CompactToken, invalidToken } from './token.ts'

/** Shortest secret, in bytes: the output of SHA-256. A shorter one is guessed offline from any one token. */
export const MIN_SECRET_BYTES = 32

const HASHES = new Map([
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
])

export function isHmacAlgorithm(alg: string): boolean {
  return HASHES.has(alg)
}

/** Prepares secrets, the newest first. Throws where one is too short: the operator's error, not a client's. */
export function importSecrets(secrets: readonly string[]): KeyObject[] {
  return secrets.map((secret) => {
    const bytes = Buffer.from(secret)
    if (bytes.length < MIN_SECRET_BYTES) {
      throw new Error(
        `auth.secret and auth.previous_secrets need at least ${MIN_SECRET_BYTES} bytes, found ${bytes.length}: make one with "tidings token --new-secret"`,
      )
    }
    return createSecretKey(bytes)
  })
}

/** Returns if one of the secrets made the signature, and throws `invalid_token` if none did. `alg` is an HMAC one. */
export function checkHmac(token: CompactToken, secrets: readonly KeyObject[]): void {
  const hash = HASHES.get(token.alg)
  if (hash === undefined) throw invalidToken('not an HMAC algorithm')
  const given = Buffer.from(token.signature)
  for (const secret of secrets) {
    // Compared as text: base64url has spare bits, and two spellings of one signature would be two tokens.
    const expected = Buffer.from(createHmac(hash, secret).update(token.signed).digest('base64url'))
    if (expected.length === given.length && timingSafeEqual(expected, given)) return
  }
  throw invalidToken('the signature is of none of the secrets')
}
