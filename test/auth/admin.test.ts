import { describe, expect, test } from 'bun:test'
import { createAdminGuard } from '../../src/auth/admin.ts'
import { createVerifier } from '../../src/auth/verify.ts'
import { claims, forge, NOW, NOW_S } from './forge.ts'
import { withSecret } from './options.ts'
import { INVALID, refusal } from './outcome.ts'

const KEY = 'an-api-key-of-the-tests-0123456789'
const SECOND_KEY = 'the-second-api-key-0123456789abcdef'
const verifier = createVerifier(withSecret(), { now: () => NOW })
const guard = createAdminGuard({ keys: [KEY, SECOND_KEY], jwtRole: 'admin', verify: (token) => verifier.verify(token) })
const keysOnly = createAdminGuard({ keys: [KEY], jwtRole: '', verify: (token) => verifier.verify(token) })
const admin = forge(claims({ role: 'admin' }))

describe('the admin guard lets in', () => {
  test('every key of the configuration, under a name that is not the key', async () => {
    const first = await guard.check(`Bearer ${KEY}`)
    const second = await guard.check(`bearer  ${SECOND_KEY}`)
    expect(first.id).toMatch(/^key:[0-9a-f]{8}$/)
    expect(second.id).not.toBe(first.id)
    expect(await keysOnly.check(`Bearer ${KEY}`)).toEqual(first)
  })

  test('a token with the admin role', async () => {
    expect(await guard.check(`Bearer ${admin}`)).toMatchObject({ id: 'user:alice', identity: { roles: ['admin'] } })
  })
})

/** Two different refusals would tell a stranger which half of a guess was right. */
describe('the admin guard refuses in one and the same way', () => {
  const shown: Record<string, string | null> = {
    nothing: null,
    'an empty header': '',
    'a scheme alone': 'Bearer ',
    'another scheme': `Basic ${KEY}`,
    'a key without a scheme': KEY,
    'a wrong key': 'Bearer an-api-key-of-the-tests-0123456780',
    'the start of a key': `Bearer ${KEY.slice(0, -1)}`,
    'more than a key': `Bearer ${KEY}x`,
    'a key and something else': `Bearer ${KEY} x`,
    'two keys': `Bearer ${KEY},${SECOND_KEY}`,
    'a token of a user': `Bearer ${forge(claims())}`,
    'a token of an admin of a room': `Bearer ${forge(claims({ room_roles: { lobby: 'admin' } }))}`,
    'an expired token of an admin': `Bearer ${forge(claims({ role: 'admin', exp: NOW_S - 1 }))}`,
    'a forged token of an admin': `Bearer ${forge(claims({ role: 'admin' }), {}, 'some other secret of thirty-two bytes')}`,
    'a token of an admin with a bad claim': `Bearer ${forge(claims({ role: 'admin', meta: 7 }))}`,
  }
  for (const [name, header] of Object.entries(shown)) {
    test(name, async () => {
      expect(await refusal(guard.check(header))).toEqual(INVALID)
    })
  }

  test('an admin’s token where only keys count', async () => {
    expect(await refusal(keysOnly.check(`Bearer ${admin}`))).toEqual(INVALID)
  })

  test('a nameless role where no role is configured', async () => {
    const nameless = async () => ({ userId: 'alice', roles: [''] })
    expect(await refusal(createAdminGuard({ keys: [], jwtRole: '', verify: nameless }).check('Bearer x'))).toEqual(
      INVALID,
    )
  })

  test('everything where neither keys nor a role are configured', async () => {
    const shut = createAdminGuard({ keys: [], jwtRole: '', verify: (token) => verifier.verify(token) })
    for (const header of [null, '', 'Bearer x', `Bearer ${KEY}`, `Bearer ${admin}`]) {
      expect(await refusal(shut.check(header))).toEqual(INVALID)
    }
  })
})
