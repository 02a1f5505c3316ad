import { describe, expect, test } from 'bun:test'
import type { Identity } from '../../src/core/identity.ts'
import {
  addresseeOf,
  holdsFor,
  type Revocation,
  readRevocation,
  Scopes,
  scopesOf,
  WHENEVER,
  widened,
} from '../../src/core/revocation.ts'

const NOW = 1_000_000
const token = (changes: Partial<Identity> = {}): Identity => ({
  userId: 'alice',
  deviceId: 'phone',
  tokenId: 'j1',
  issuedAt: 5000,
  roles: [],
  ...changes,
})
const revocation = (scope: string, changes: Partial<Revocation> = {}): Revocation => ({
  scope,
  issuedBefore: 6000,
  until: NOW + 1,
  ...changes,
})
const { tokenId: _jti, ...unnamed } = token()
const { issuedAt: _iat, ...undated } = token()

/** Whether the revocation is about the token, used for its own device unless another is named. */
const refuses = (one: Revocation, identity: Identity, deviceId = identity.deviceId): boolean =>
  scopesOf(identity, deviceId).includes(one.scope) && holdsFor(one, identity, NOW)

const TABLE: [what: string, revocation: Revocation, identity: Identity, refused: boolean, device?: string][] = [
  ['the token', revocation(Scopes.token('j1'), { issuedBefore: WHENEVER }), token(), true],
  ['the token, without iat', revocation(Scopes.token('j1'), { issuedBefore: WHENEVER }), undated, true],
  ['another token', revocation(Scopes.token('j2'), { issuedBefore: WHENEVER }), token(), false],
  ['a token without jti', revocation(Scopes.token('j1'), { issuedBefore: WHENEVER }), unnamed, false],
  ['a token named like its user', revocation(Scopes.token('alice'), { issuedBefore: WHENEVER }), token(), false],
  ['the user', revocation(Scopes.user('alice')), token(), true],
  ['the user, issued right then', revocation(Scopes.user('alice'), { issuedBefore: 5000 }), token(), false],
  ['the user, issued just before', revocation(Scopes.user('alice'), { issuedBefore: 5001 }), token(), true],
  ['the user, without iat', revocation(Scopes.user('alice'), { issuedBefore: 0 }), undated, true],
  ['the user, iat 0, before 0', revocation(Scopes.user('alice'), { issuedBefore: 0 }), token({ issuedAt: 0 }), false],
  ['another user', revocation(Scopes.user('bob')), token(), false],
  ['a user named like the token', revocation(Scopes.user('j1')), token(), false],
  ['the device', revocation(Scopes.device('alice', 'phone')), token(), true],
  ['another device', revocation(Scopes.device('alice', 'laptop')), token(), false],
  ["another user's device of the same name", revocation(Scopes.device('bob', 'phone')), token(), false],
  ['the device that is used', revocation(Scopes.device('alice', 'tv')), token({ tokenId: 'j' }), true, 'tv'],
  ['everybody', revocation(Scopes.all), token(), true],
  ['everybody, issued after', revocation(Scopes.all, { issuedBefore: 5000 }), token(), false],
  ['everybody, without iat', revocation(Scopes.all, { issuedBefore: 1 }), undated, true],
  ['what is past its time', revocation(Scopes.all, { until: NOW }), token(), false],
]

describe('a revocation of', () => {
  for (const [what, one, identity, refused, device] of TABLE) {
    test(`${what} ${refused ? 'refuses' : 'lets in'}`, () => {
      expect(refuses(one, identity, device)).toBe(refused)
    })
  }
})

test('scopes lead to a token, a user, or everybody', () => {
  const scopes = [
    Scopes.token('u:x'),
    Scopes.user('alice'),
    Scopes.user('d:alice'),
    Scopes.device('alice', 'phone'),
    Scopes.all,
  ]
  expect(scopes.map(addresseeOf)).toEqual([
    { tokenId: 'u:x' },
    { userId: 'alice' },
    { userId: 'd:alice' },
    { userId: 'alice' },
    {},
  ])
})

test('two of the same scope are as wide as both', () => {
  const [early, late] = [
    { issuedBefore: 1, until: 9 },
    { issuedBefore: 2, until: 8 },
  ]
  const both = { scope: 'a', issuedBefore: 2, until: 9 }
  expect(widened({ scope: 'a', ...early }, { scope: 'a', ...late })).toEqual(both)
  expect(widened({ scope: 'a', ...late }, { scope: 'a', ...early })).toEqual(both)
})

test('what another instance tells is read, or is none', () => {
  const good = { scope: 'u:alice', issuedBefore: 1, until: 2 }
  expect(readRevocation({ ...good, more: 1 })).toEqual(good)
  for (const bad of [
    {},
    { ...good, scope: 'alice' },
    { ...good, scope: 7 },
    { ...good, issuedBefore: '1' },
    { ...good, until: null },
    { ...good, until: 1e300 },
  ]) {
    expect(readRevocation(bad)).toBeUndefined()
  }
})
