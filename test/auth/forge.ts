/** Makes tokens of any shape, with node:crypto alone: what is tested must not have made what it is tested with. */

import { createHmac, type KeyObject, sign } from 'node:crypto'

export const SECRET = 'a secret of the tests, which is long enough'
/** The moment at which the tests' tokens are verified: 1 January 2030. */
export const NOW = 1_893_456_000_000
export const NOW_S = NOW / 1000

const HASHES: Readonly<Record<string, string>> = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }

export function encode(value: unknown): string {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return bytes.toString('base64url')
}

/** Claims that are good, and what differs from them; `undefined` leaves a claim out. */
export function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { sub: 'alice', iat: NOW_S - 10, exp: NOW_S + 3600, ...changes }
}

/** Signed with an HMAC over whatever header and payload are given; text and bytes are taken as they stand. */
export function forge(
  payload: unknown,
  header: Record<string, unknown> | string = {},
  secret: string | Buffer = SECRET,
): string {
  const full = typeof header === 'string' ? header : { alg: 'HS256', typ: 'JWT', ...header }
  const alg = typeof full === 'string' ? 'HS256' : String(full.alg)
  const signed = `${encode(full)}.${encode(payload)}`
  return `${signed}.${createHmac(HASHES[alg] ?? 'sha256', secret)
    .update(signed)
    .digest('base64url')}`
}

/** Signed with a private key. */
export function forgeSigned(
  payload: unknown,
  header: Record<string, unknown> & { alg: string },
  key: KeyObject,
): string {
  const signed = `${encode({ typ: 'JWT', ...header })}.${encode(payload)}`
  const digest = header.alg === 'EdDSA' ? null : 'sha256'
  return `${signed}.${sign(digest, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
