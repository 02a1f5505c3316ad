import { expect, test } from 'bun:test'
import { issueToken } from '../../src/auth/issue.ts'
import { createVerifier } from '../../src/auth/verify.ts'
import { SECRET } from './forge.ts'
import { withSecret } from './options.ts'
import { EXPIRED, refusal } from './outcome.ts'

const verifier = createVerifier(withSecret())

test('an issued token carries the claims and ends when it was said to', async () => {
  const before = Date.now()
  const token = await issueToken(
    SECRET,
    { user_id: 7, device_id: 'laptop', room_roles: { lobby: 'admin' }, meta: { a: [1] } },
    60,
  )
  const { expiresAt = 0, issuedAt = 0, ...rest } = await verifier.verify(token)
  expect(rest).toEqual({ userId: '7', deviceId: 'laptop', roles: [], roomRoles: { lobby: 'admin' }, meta: { a: [1] } })
  expect(issuedAt).toBeGreaterThanOrEqual(Math.floor(before / 1000) * 1000)
  expect(expiresAt - issuedAt).toBeGreaterThanOrEqual(59_000)
  expect(expiresAt - issuedAt).toBeLessThanOrEqual(60_000)
})

test('a negative time gives a token that has expired', async () => {
  expect(await refusal(verifier.verify(await issueToken(SECRET, { sub: 'alice' }, -1)))).toEqual(EXPIRED)
})

test('nothing is signed with a short secret or without an end', async () => {
  await expect(issueToken('short', { sub: 'alice' }, 60)).rejects.toThrow('at least 32 bytes')
  await expect(issueToken(SECRET, { sub: 'alice' }, Number.POSITIVE_INFINITY)).rejects.toThrow('an end')
})
