import { describe, expect, test } from 'bun:test'
import { type Revocation, Scopes, WHENEVER } from '../../src/core/revocation.ts'
import { MAX_REVOCATIONS, RevokedTokens } from '../../src/core/revoked-tokens.ts'
import { TidingsError } from '../../src/protocol/errors.ts'
import { FakeClock } from '../support/clock.ts'

const MINUTE_MS = 60_000

function known() {
  const clock = new FakeClock()
  const revoked = new RevokedTokens(clock)
  const token = (tokenId: string, ms = MINUTE_MS): Revocation => ({
    scope: Scopes.token(tokenId),
    issuedBefore: WHENEVER,
    until: clock.now() + ms,
  })
  const has = (tokenId: string) => revoked.has({ userId: 'alice', roles: [], tokenId })
  return { clock, revoked, token, has }
}

describe('what is known to be revoked', () => {
  test('is refused, and what is not goes through as it is', () => {
    const { revoked, token } = known()
    const [bad, good] = ['bad', 'good'].map((tokenId) => ({ userId: 'alice', roles: [], tokenId }))
    revoked.learn(token('bad'))
    expect(revoked.check(good as never)).toBe(good as never)
    expect(() => revoked.check(bad as never)).toThrow(new TidingsError('token_revoked'))
  })

  test('is forgotten when its time is over, and not learned any more', () => {
    const { clock, has, revoked, token } = known()
    const one = token('one')
    expect(revoked.learn(one)).toBe(true)
    clock.advance(MINUTE_MS - 1)
    expect(has('one')).toBe(true)
    clock.advance(1)
    expect(has('one')).toBe(false)
    revoked.sweep()
    expect(revoked.learn(one)).toBe(false)
  })

  test('is news once, and again only where it is wider', () => {
    const { revoked, token } = known()
    expect(
      [token('one'), token('one'), token('one', 1), token('one', MINUTE_MS + 1)].map((t) => revoked.learn(t)),
    ).toEqual([true, false, false, true])
  })

  test('is found out to be missing in a store, or to be narrower there', () => {
    const { clock, revoked, token } = known()
    const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((id) => token(id)) as Revocation[]
    for (const each of [one, two, three, { ...four, until: clock.now() + 1 }]) revoked.learn(each as Revocation)
    clock.advance(2)
    const store = [one, { ...two, until: 1 }] as Revocation[]
    expect([...revoked.missingIn(store)]).toEqual([two, three] as Revocation[])
  })

  test('is bounded, and says so; room is made by what is over, and a known scope needs none', () => {
    const { clock, revoked, token } = known()
    for (let n = 0; n < MAX_REVOCATIONS; n++) revoked.learn(token(`t${n}`))
    expect(() => revoked.makeRoom(Scopes.token('more'))).toThrow('100000 revocations are kept')
    expect(() => revoked.makeRoom(Scopes.token('t7'))).not.toThrow()
    clock.advance(MINUTE_MS)
    expect(() => revoked.makeRoom(Scopes.token('more'))).not.toThrow()
  })
})
