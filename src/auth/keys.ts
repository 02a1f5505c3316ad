/** Public keys: what a JWKS document may hold, and which of its keys may verify which token. */

import { importJWK } from 'jose'

/** Most keys that are read from one set: a few per algorithm and rotation. */
const MAX_KEYS = 100

interface Family {
  readonly kty: string
  readonly crv?: string
  /** The members that make the public key. Nothing else is imported: a private key in a set does no more than verify. */
  readonly members: readonly string[]
}

/** One kind of key per algorithm, so that no key is ever used in a way that its owner did not mean. */
const FAMILIES = new Map<string, Family>([
  ['RS256', { kty: 'RSA', members: ['n', 'e'] }],
  ['ES256', { kty: 'EC', crv: 'P-256', members: ['x', 'y'] }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519', members: ['x'] }],
])

/** A key of a set, for one algorithm. */
export interface PublicKey {
  readonly alg: string
  readonly kid: string | undefined
  readonly key: CryptoKey
}

/**
 * Reads and imports a JWKS document. Keys of other kinds and broken ones are left out, symmetric ones always: a set
 * is public. Rejects where it is no JWKS or has no usable key, so that a broken answer never replaces good keys.
 */
export async function parseJwks(text: string): Promise<PublicKey[]> {
  const document: unknown = JSON.parse(text)
  const list = isRecord(document) ? document.keys : undefined
  if (!Array.isArray(list)) throw new Error('not a JWKS: an object with a list "keys" was expected')
  const read = await Promise.all(list.slice(0, MAX_KEYS).map(readKey))
  const keys = read.filter((key) => key !== undefined)
  if (keys.length === 0) {
    throw new Error(`no usable key among ${list.length}: keys for ${[...FAMILIES.keys()].join(', ')} are expected`)
  }
  return keys
}

/** The key that may verify a token with this header: the named one, or the only one where the token names none. */
export function selectKey(keys: readonly PublicKey[], alg: string, kid: string | undefined): CryptoKey | undefined {
  const fitting = keys.filter((key) => key.alg === alg && (kid === undefined || key.kid === kid))
  return fitting.length === 1 ? fitting[0]?.key : undefined
}

async function readKey(jwk: unknown): Promise<PublicKey | undefined> {
  if (!isRecord(jwk)) return undefined
  const { kid, use, key_ops: operations } = jwk
  if (use !== undefined && use !== 'sig') return undefined
  if (Array.isArray(operations) && !operations.includes('verify')) return undefined
  for (const [alg, family] of FAMILIES) {
    if (jwk.kty !== family.kty || jwk.crv !== family.crv) continue
    if (jwk.alg !== undefined && jwk.alg !== alg) continue
    const key = await importPublic(jwk, alg, family)
    return key && { alg, kid: typeof kid === 'string' ? kid : undefined, key }
  }
  return undefined
}

async function importPublic(jwk: Record<string, unknown>, alg: string, family: Family): Promise<CryptoKey | undefined> {
  const members = ['kty', ...(family.crv === undefined ? [] : ['crv']), ...family.members]
  try {
    const key = await importJWK(Object.fromEntries(members.map((member) => [member, jwk[member]])), alg)
    return key instanceof CryptoKey ? key : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
