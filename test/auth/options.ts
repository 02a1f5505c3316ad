import type { AuthOptions } from '../../src/auth/verify.ts'
import { SECRET } from './forge.ts'

const NONE: AuthOptions = { previous_secrets: [], algorithms: [], require_exp: true, clock_tolerance_ms: 0 }

/** The default configuration with a secret, and what differs from it. */
export function withSecret(changes: Partial<AuthOptions> = {}): AuthOptions {
  return { ...NONE, secret: SECRET, ...changes }
}

/** The default configuration with a key set in place of a secret. */
export function withJwks(jwks: string, changes: Partial<AuthOptions> = {}): AuthOptions {
  return { ...NONE, jwks, ...changes }
}

export const withNothing: AuthOptions = NONE
