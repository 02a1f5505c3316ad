import { expect, test } from 'bun:test'
import { type Revocation, Scopes } from '../../src/core/revocation.ts'
import { TestHub } from '../support/hub.ts'

const soon = (scope: string): Revocation => ({
  scope,
  issuedBefore: Date.now() + 60_000,
  until: Date.now() + 60_000,
})

test('a session that is opened in the moment after its token was revoked is told so and closed', async () => {
  await using made = new TestHub()
  made.hub.revoked.learn(soon(Scopes.device('alice', 'd1')))
  const { wire } = made.open('alice')
  expect(wire.ended).toEqual({ code: 4001, reason: 'token_revoked' })
  expect(wire.frames).toMatchObject([{ type: 'error', payload: { error_code: 'token_revoked' } }])
  expect(made.open('alice', {}, { deviceId: 'd2' }).wire.ended).toBeUndefined()
})

test('a crowd is ended in parts, so that others have their turn', async () => {
  await using made = new TestHub({ limits: { per_user: 0 } })
  const opened = Array.from({ length: 250 }, (_, n) => made.open(`user${n}`))
  const left = () => made.hub.registry.size
  const revoking = made.hub.revoker.revoke(soon(Scopes.all))
  const seen = new Set<number>()
  while (left() > 0) {
    seen.add(left())
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await revoking).toBe(250)
  expect([...seen]).toEqual([250, 150, 50])
  expect(new Set(opened.map(({ wire }) => wire.ended?.reason))).toEqual(new Set(['token_revoked']))
})
