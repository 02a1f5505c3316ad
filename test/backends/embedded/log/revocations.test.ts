import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { Scopes, WHENEVER } from '../../../../src/core/revocation.ts'
import { revocationsContract } from '../../../contracts/revocations.ts'
import { Site } from './support.ts'

const IN_A_MINUTE = Date.now() + 60_000

revocationsContract('revocations in SQLite', async () => {
  const site = new Site()
  const first = site.open({ housekeepingMs: 1 })
  return {
    store: first.revocations,
    again: async () => {
      await first.close()
      return site.open().revocations
    },
    prune: () => {},
    dispose: () => site[Symbol.asyncDispose](),
  }
})

test('a store of the version before gets the table that it lacks', async () => {
  await using site = new Site()
  await site.open().close()
  const db = new Database(site.path)
  db.run('DROP TABLE revocations')
  db.run('PRAGMA user_version = 1')
  db.close(true)
  const { revocations } = site.open()
  await revocations.add({ scope: Scopes.token('t'), issuedBefore: WHENEVER, until: IN_A_MINUTE })
  expect(await revocations.all()).toMatchObject({ revocations: [{ scope: 't:t' }] })
})

test('a store in memory has them as long as it lives', async () => {
  await using site = new Site()
  const { revocations } = site.open({ path: ':memory:' })
  await revocations.add({ scope: Scopes.all, issuedBefore: 5, until: IN_A_MINUTE })
  expect(await revocations.all()).toMatchObject({ revocations: [{ scope: Scopes.all, issuedBefore: 5 }] })
})
