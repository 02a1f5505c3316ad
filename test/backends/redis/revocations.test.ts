import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Scopes } from '../../../src/core/revocation.ts'
import { revocationsContract } from '../../contracts/revocations.ts'
import { RedisServer } from '../../kit/redis.ts'
import { Instance, newPrefix, openInstances } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

revocationsContract('revocations in Redis', async () => {
  const prefix = newPrefix()
  const opened: Instance[] = []
  const open = async () => {
    const instance = await Instance.open({ url: server.url, prefix })
    opened.push(instance)
    return instance.store.revocations
  }
  const store = await open()
  return {
    store,
    again: open,
    prune: () => store.all('none'),
    dispose: async () => {
      for (const instance of opened) await instance[Symbol.asyncDispose]()
    },
  }
})

test('stand in one hash that never expires: nothing evicts it but by evicting everything', async () => {
  const { prefix, instances } = await openInstances(server, 2)
  const [one, two] = instances as [Instance, Instance]
  const revocation = { scope: Scopes.user('alice'), issuedBefore: 5, until: Date.now() + 60_000 }
  const { version } = await one.store.revocations.add(revocation)
  expect(await two.store.revocations.all()).toEqual({ version, revocations: [revocation] })
  expect(await server.admin.pttl(`${prefix}:1:revoked`)).toBe(-1)
  // What is lost has another version than what was known.
  await server.admin.del(`${prefix}:1:revoked`)
  expect(await two.store.revocations.all(version)).toMatchObject({ revocations: [] })
  const again = await one.store.revocations.add(revocation)
  expect(Number(again.version)).toBeGreaterThan(Number(version))
  for (const instance of instances) await instance[Symbol.asyncDispose]()
})
