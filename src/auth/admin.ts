/** Guards the admin routes. Whoever does not get in learns nothing but that. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Identity } from '../core/identity.ts'
import { TidingsError } from '../protocol/errors.ts'
import { bearer } from './credentials.ts'

/** Who acts, for the audit log: an API key, named by the start of its hash, or a user with the admin role. */
export interface AdminPrincipal {
  /** `key:1f0c9a2b` or `user:alice`. */
  readonly id: string
  /** Where a token was shown. */
  readonly identity?: Identity
}

export interface AdminGuard {
  /** @param authorization the `Authorization` header. Rejects with one and the same `invalid_token`, whatever is wrong. */
  check(authorization: string | null): Promise<AdminPrincipal>
}

export interface AdminGuardOptions {
  readonly keys: readonly string[]
  /** The role that makes a token an admin token; empty: keys only. */
  readonly jwtRole: string
  /** Verifies a token, revocation included. */
  readonly verify: (token: string) => Promise<Identity>
}

/** Hex digits of a key's hash that name it in logs: enough to tell keys apart, nothing to find the key by. */
const KEY_NAME_DIGITS = 8

export function createAdminGuard({ keys, jwtRole, verify }: AdminGuardOptions): AdminGuard {
  const hashes = keys.map(hash)

  const keyOf = (presented: string): Buffer | undefined => {
    const digest = hash(presented)
    let found: Buffer | undefined
    // All of them, each in constant time: how long it takes says nothing about which key came close.
    for (const known of hashes) if (timingSafeEqual(known, digest)) found = known
    return found
  }

  const principalOf = async (presented: string): Promise<AdminPrincipal | undefined> => {
    const key = keyOf(presented)
    if (key) return { id: `key:${key.toString('hex').slice(0, KEY_NAME_DIGITS)}` }
    if (jwtRole === '') return undefined
    const identity = await verify(presented)
    return identity.roles.includes(jwtRole) ? { id: `user:${identity.userId}`, identity } : undefined
  }

  return {
    async check(authorization) {
      const presented = bearer(authorization)
      if (presented === undefined) throw refused('no bearer credentials')
      const principal = await principalOf(presented).catch((cause: unknown) => {
        throw refused(cause)
      })
      if (!principal) throw refused('neither a key nor a token with the admin role')
      return principal
    },
  }
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

function refused(cause: unknown): TidingsError {
  return new TidingsError('invalid_token', undefined, { cause })
}
