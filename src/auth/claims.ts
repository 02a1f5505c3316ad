/** What an authentic token says: judged in time and by issuer, then read into an identity. Nothing is coerced but numbers in ids. */

import type { Identity } from '../core/identity.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isIdentifier, isRoomName, toIdentifier } from '../protocol/names.ts'
import { invalidToken } from './token.ts'

/** Largest `meta`, in bytes of JSON: it is kept for every connection. */
export const MAX_META_BYTES = 2048
/**
 * How far ahead `iat` may be, in milliseconds: clocks differ. Further ahead it would outlive every "revoke what was
 * issued before now".
 */
const MAX_IAT_AHEAD_MS = 60_000
/** Seconds since 1970 at the end of the year 9999. Later times are milliseconds by mistake: such a token would never end. */
const MAX_TIME_S = 253_402_300_800

const ROOM_PATTERN = /^[A-Za-z0-9_.:@*-]{1,128}$/

export interface ClaimChecks {
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly requireExp: boolean
  readonly toleranceMs: number
}

type Claims = Readonly<Record<string, unknown>>

/**
 * @param claims an object without a prototype.
 * @param now milliseconds since 1970.
 * @returns the identity; its `expiresAt` has the clock tolerance in it.
 * Throws `token_expired`, or `invalid_token`, for optional claims with the claim's name as a detail.
 */
export function identityOf(claims: Claims, checks: ClaimChecks, now: number): Identity {
  const expiresAt = checkTimes(claims, checks, now)
  checkParties(claims, checks)
  const userId = userOf(claims)
  return {
    userId,
    roles: rolesOf(claims),
    ...optional('deviceId', claims, 'device_id', toIdentifier),
    ...usernameOf(claims),
    ...right('rooms', claims, 'rooms', toRooms),
    ...right('roomRoles', claims, 'room_roles', toRoomRoles),
    ...optional('meta', claims, 'meta', toMeta),
    ...right('tokenId', claims, 'jti', toText),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(typeof claims.iat === 'number' && { issuedAt: Math.floor(claims.iat * 1000) }),
  }
}

function checkTimes(claims: Claims, { requireExp, toleranceMs }: ClaimChecks, now: number): number | undefined {
  const exp = time(claims, 'exp')
  const nbf = time(claims, 'nbf')
  const iat = time(claims, 'iat')
  if (exp === undefined && requireExp) throw invalidToken('no exp')
  if (nbf !== undefined && nbf > now + toleranceMs) throw invalidToken('nbf is in the future')
  if (iat !== undefined && iat > now + toleranceMs + MAX_IAT_AHEAD_MS) throw invalidToken('iat is in the future')
  if (exp === undefined) return undefined
  if (exp + toleranceMs <= now) throw new TidingsError('token_expired')
  return exp + toleranceMs
}

/** A claim in seconds, as milliseconds. */
function time(claims: Claims, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= 0 && value < MAX_TIME_S)) throw invalidToken(`${name} is not a time`)
  return Math.floor(value * 1000)
}

function checkParties({ iss, aud }: Claims, { issuer, audience }: ClaimChecks): void {
  if (iss !== undefined && typeof iss !== 'string') throw invalidToken('iss is not a string')
  if (issuer !== undefined && iss !== issuer) throw invalidToken('another iss')
  const audiences: unknown[] = aud === undefined ? [] : Array.isArray(aud) ? aud : [aud]
  if (!audiences.every((one) => typeof one === 'string')) throw invalidToken('aud is not a string or a list of them')
  if (audience !== undefined && !audiences.includes(audience)) throw invalidToken('another aud')
}

function userOf({ user_id: userId, sub }: Claims): string {
  if (sub !== undefined && toIdentifier(sub) === undefined) throw invalidToken('sub is not an id')
  const id = toIdentifier(userId === undefined ? sub : userId)
  if (id === undefined) throw invalidToken('no user_id and no sub that is an id')
  return id
}

/** Most tokens have none, and an empty list for each connection would be memory for nothing. */
const NO_ROLES: readonly string[] = Object.freeze([])

/** `role` and `roles`, each one name or a list of names, merged. */
function rolesOf(claims: Claims): readonly string[] {
  const roles = new Set<string>()
  for (const name of ['role', 'roles']) {
    const value = claims[name] ?? []
    for (const role of Array.isArray(value) ? value : [value]) {
      if (!isIdentifier(role)) throw badClaim(name)
      roles.add(role)
    }
  }
  return roles.size === 0 ? NO_ROLES : [...roles]
}

/** `username`, else `name`; an empty one is what backends write for a user without one. */
function usernameOf(claims: Claims): { username?: string } {
  for (const name of ['username', 'name']) {
    const value = claims[name]
    if (value === undefined || value === null || value === '') continue
    if (!isIdentifier(value)) throw badClaim(name)
    return { username: value }
  }
  return {}
}

function toText(value: unknown): string | undefined {
  return isIdentifier(value) ? value : undefined
}

function toRooms(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.every((name) => typeof name === 'string' && ROOM_PATTERN.test(name)) ? value : undefined
}

function toRoomRoles(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined
  const entries = Object.entries(value)
  if (!entries.every(([room, role]) => isRoomName(room) && isIdentifier(role))) return undefined
  // Without a prototype: a room may be called `constructor`, and nobody has a role in it by that.
  return Object.setPrototypeOf(Object.fromEntries(entries), null)
}

function toMeta(value: unknown): Record<string, unknown> | undefined {
  if (!isObject(value)) return undefined
  return Buffer.byteLength(JSON.stringify(value)) <= MAX_META_BYTES ? value : undefined
}

/** A claim that grants or narrows nothing: `null` is what many backends write for "none". */
function optional<Key extends string, Value>(key: Key, claims: Claims, name: string, read: Read<Value>) {
  return claims[name] === null ? {} : right(key, claims, name, read)
}

/** A claim on which rights depend: there and well formed, or not there. */
function right<Key extends string, Value>(key: Key, claims: Claims, name: string, read: Read<Value>) {
  const value = claims[name]
  if (value === undefined) return {}
  const found = read(value)
  if (found === undefined) throw badClaim(name)
  return { [key]: found } as Record<Key, Value>
}

type Read<Value> = (value: unknown) => Value | undefined

function badClaim(name: string): TidingsError {
  return invalidToken(`${name} has a bad shape`, name)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
