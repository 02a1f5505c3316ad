import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createRedisBackend } from '../../../src/backends/redis/backend.ts'
import type { Backend } from '../../../src/core/ports/backend.ts'
import { Registry } from '../../../src/core/registry.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { type Instance, openInstances } from './support.ts'

let server: RedisServer
let backends: [Backend, Backend]

beforeAll(async () => {
  server = await RedisServer.start()
  const { instances } = await openInstances(server, 2)
  const local = { registry: new Registry(), room: () => undefined }
  const [one, two] = instances as [Instance, Instance]
  backends = [createRedisBackend(one.store)(local), createRedisBackend(two.store)(local)]
})
afterAll(async () => {
  for (const backend of backends) await backend.close()
  await server[Symbol.asyncDispose]()
})

test("a user's slots are those of all instances", async () => {
  const [one, two] = backends
  expect(await one.slots.reserve('alice', 'c1', 2)).toBe(true)
  expect(await two.slots.reserve('alice', 'c2', 2)).toBe(true)
  expect(await one.slots.reserve('alice', 'c3', 2)).toBe(false)
  expect(await one.slots.reserve('bob', 'c4', 2)).toBe(true)
  two.slots.release('alice', 'c2')
  two.slots.release('alice', 'unknown')
  await until(async () => await one.slots.reserve('alice', 'c5', 2))
  expect(await two.slots.reserve('alice', 'c6', 0)).toBe(true)
})
