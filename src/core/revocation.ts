/** What a revocation is, and which tokens it is about. Pure: who remembers them, and ends connections, is elsewhere. */
import type { Identity } from './identity.ts'

/** Plain data: stores write it down, and instances tell it to each other. */
export interface Revocation {
  /** Whose tokens, see {@link Scopes}: of each there is one revocation, which can be {@link widened}. */
  readonly scope: string
  /** Milliseconds since 1970: tokens that were issued before are not good any more. */
  readonly issuedBefore: number
  /** Milliseconds since 1970 until which it holds: then the tokens have ended by themselves. */
  readonly until: number
}

/** `issuedBefore` where it does not matter when a token was issued. */
export const WHENEVER = Number.MAX_SAFE_INTEGER

/** The names of what a revocation can be about. Ids have no control characters, so no two of them share a name. */
export const Scopes = {
  /** One token, by its `jti`. */
  token: (tokenId: string) => `t:${tokenId}`,
  user: (userId: string) => `u:${userId}`,
  device: (userId: string, deviceId: string) => `d:${userId}\n${deviceId}`,
  /** Everybody's. */
  all: 'a',
} as const

/** Whom a scope leads to, to look for connections: a token, a user, or everybody. */
export interface Addressee {
  readonly tokenId?: string
  readonly userId?: string
}

export function addresseeOf(scope: string): Addressee {
  const [name = ''] = scope.slice(2).split('\n')
  if (scope.startsWith('t:')) return { tokenId: name }
  return scope === Scopes.all ? {} : { userId: name }
}

/** Every scope that a token is in. `deviceId` is the device that it is used for, which it need not name. */
export function scopesOf({ userId, tokenId }: Identity, deviceId: string | undefined): string[] {
  const scopes: string[] = [Scopes.all, Scopes.user(userId)]
  if (deviceId !== undefined) scopes.push(Scopes.device(userId, deviceId))
  if (tokenId !== undefined) scopes.push(Scopes.token(tokenId))
  return scopes
}

/**
 * Whether a revocation holds for a token in its scope. One that does not say when it was issued was issued before
 * everything.
 */
export function holdsFor({ issuedBefore, until }: Revocation, { issuedAt = -1 }: Identity, now: number): boolean {
  return issuedAt < issuedBefore && now < until
}

/** Two revocations of the same scope in one: what either refuses is refused, for as long as either says. */
export function widened(a: Revocation, b: Revocation): Revocation {
  return {
    scope: a.scope,
    issuedBefore: Math.max(a.issuedBefore, b.issuedBefore),
    until: Math.max(a.until, b.until),
  }
}

/** Reads what another instance has told. `undefined`: it is no revocation. */
export function readRevocation({
  scope,
  issuedBefore,
  until,
}: Readonly<Record<string, unknown>>): Revocation | undefined {
  if (typeof scope !== 'string' || !(scope === Scopes.all || /^[tud]:/.test(scope))) return undefined
  return Number.isSafeInteger(issuedBefore) && Number.isSafeInteger(until)
    ? { scope, issuedBefore: issuedBefore as number, until: until as number }
    : undefined
}
