import { expect, test } from 'bun:test'
import { silentLog } from '../../src/core/log.ts'
import type { Peers } from '../../src/core/peers.ts'
import type { Directory } from '../../src/core/ports/directory.ts'
import type { Revocations } from '../../src/core/ports/revocations.ts'
import { Registry } from '../../src/core/registry.ts'
import { type Revocation, Scopes } from '../../src/core/revocation.ts'
import { RevokedTokens } from '../../src/core/revoked-tokens.ts'
import { Revoker } from '../../src/core/revoker.ts'
import { FakeClock } from '../support/clock.ts'
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

test('an instance that was given up for dead knows nothing for certain until it has looked since', async () => {
  const clock = new FakeClock()
  const kept: { version: string; revocations: Revocation[] } = { version: '1', revocations: [] }
  let hold: Promise<void> | undefined
  let looks = 0
  const revoked = new RevokedTokens(clock)
  const revoker = new Revoker({
    clock,
    revoked,
    registry: new Registry(),
    log: silentLog,
    end: () => {},
    peers: { here: 'one', answer: () => {} } as unknown as Peers,
    directory: {} as Directory,
    store: {
      all: async () => {
        looks++
        const seen = { ...kept }
        await hold
        return seen
      },
    } as unknown as Revocations,
  })
  await revoker.begin()
  expect(revoker.known()).toBeUndefined()

  // A look that read the store before the revocation, and ends after the others count the instance again.
  const { promise, resolve } = Promise.withResolvers<void>()
  hold = promise
  clock.advance(7000)
  const early = revoker.known()
  clock.advance(1)
  kept.version = '2'
  kept.revocations = [{ scope: Scopes.user('alice'), issuedBefore: clock.now(), until: clock.now() + 60_000 }]
  revoker.missed()
  const late = revoker.known()
  hold = undefined
  resolve()
  await early
  await late
  expect(looks).toBe(3)
  expect(revoked.has({ userId: 'alice', roles: [], issuedAt: 0 })).toBe(true)
  expect(revoker.known()).toBeUndefined()
})
