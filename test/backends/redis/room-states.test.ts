import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { RedisServer } from '../../kit/redis.ts'
import { type Instance, newPrefix, openInstances } from './support.ts'

let server: RedisServer
let one: Instance
let two: Instance
let prefix: string

beforeAll(async () => {
  server = await RedisServer.start()
  const opened = await openInstances(server, 2, { maxStateBytes: 100 })
  ;[one, two] = opened.instances as [Instance, Instance]
  prefix = opened.prefix
})
afterAll(async () => {
  for (const instance of [one, two]) await instance[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const DAY_MS = 24 * 60 * 60 * 1000

describe('room states in Redis', () => {
  test('are shared, and every change counts', async () => {
    const room = newPrefix()
    expect(await one.store.states.get(room)).toBeUndefined()
    expect(await one.store.states.patch(room, { track: 1, list: [] }, undefined)).toEqual({
      state: { track: 1, list: [] },
      version: 1,
    })
    expect(await two.store.states.patch(room, { track: null, by: 'bob' }, 1)).toEqual({
      state: { list: [], by: 'bob' },
      version: 2,
    })
    expect(await one.store.states.get(room)).toEqual({ state: { list: [], by: 'bob' }, version: 2 })
  })

  test('a change made from another version is refused, and names the present one', async () => {
    const room = newPrefix()
    await one.store.states.patch(room, { a: 1 }, undefined)
    const refusal = await Promise.resolve(two.store.states.patch(room, { a: 2 }, 0)).catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'version_conflict', details: { version: 1 } })
    expect(await one.store.states.get(room)).toEqual({ state: { a: 1 }, version: 1 })
  })

  test('changes that meet are all made', async () => {
    const room = newPrefix()
    const changes = Array.from({ length: 10 }, (_, n) =>
      [one, two].map((each) => each.store.states.patch(room, { [n]: n }, undefined)),
    )
    await Promise.all(changes.flat())
    const held = await one.store.states.get(room)
    expect(held?.version).toBe(20)
    expect(Object.keys(held?.state as object)).toHaveLength(10)
  })

  test('a state that grows too large is refused', async () => {
    const refusal = await Promise.resolve(
      one.store.states.patch(newPrefix(), { text: 'x'.repeat(200) }, undefined),
    ).catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'payload_too_large' })
  })

  test('are kept for a day after somebody was there last', async () => {
    const room = newPrefix()
    await one.store.states.patch(room, { a: 1 }, undefined)
    await server.age(`${prefix}:1:r:${room}`, DAY_MS / 2)
    one.store.states.occupied(room, true)
    // Behind it on the same connection.
    await one.store.states.get(room)
    expect(await server.admin.pttl(`${prefix}:1:r:${room}`)).toBeGreaterThan(DAY_MS * 0.9)
    one.store.states.occupied(room, false)
    await one.store.states.get(room)
    await server.age(`${prefix}:1:r:${room}`, DAY_MS + 1)
    expect(await two.store.states.get(room)).toBeUndefined()
  })
})
