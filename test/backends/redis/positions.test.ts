import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { type Instance, openInstances } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function pair() {
  const { prefix, instances } = await openInstances(server, 2)
  const [one, two] = instances as [Instance, Instance]
  const close = async (): Promise<void> => {
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
  }
  return { prefix, one: one.messages, two: two.messages, [Symbol.asyncDispose]: close }
}

describe('how far devices have come', () => {
  test('is known on every instance, and only grows', async () => {
    await using group = await pair()
    const { one, two } = group
    one.acknowledge('alice', 'phone', 500)
    await until(async () => (await two.positions('alice', 'phone')).own === 500)
    two.acknowledge('alice', 'phone', 400)
    two.acknowledge('alice', 'laptop', 700)
    await until(async () => (await one.positions('alice', 'laptop')).own === 700)
    expect(await one.positions('alice', 'phone')).toEqual({ own: 500, newest: 700 })
  })

  test('is written at once where somebody is to rely on it', async () => {
    await using group = await pair()
    const { one, two } = group
    one.acknowledge('alice', 'phone', 500)
    const settled = one.settle('alice', 'phone')
    // What comes meanwhile is written later, and lost by nothing.
    one.acknowledge('alice', 'phone', 600)
    await settled
    expect((await two.positions('alice', 'phone')).own).toBeGreaterThanOrEqual(500)
    expect(await one.positions('alice', 'phone')).toEqual({ own: 600, newest: 600 })
    await Promise.all([
      one.settle('alice', 'phone'),
      one.settle('alice', 'phone'),
      one.settle('bob', 'nothing to write'),
    ])
    expect(await two.positions('alice', 'phone')).toEqual({ own: 600, newest: 600 })
  })

  test('is refused at once where Redis takes nothing now, and written later', async () => {
    await using group = await pair()
    const { one, two } = group
    await server.admin.config('SET', 'maxmemory', '1')
    one.acknowledge('alice', 'phone', 500)
    const refused = await one.settle('alice', 'phone').catch((error) => error)
    await server.admin.config('SET', 'maxmemory', '0')
    expect(refused).toMatchObject({ errorName: 'unavailable' })
    await until(async () => (await two.positions('alice', 'phone')).own === 500)
  })

  test('is written for many devices at once', async () => {
    await using group = await pair()
    const { one, two } = group
    for (let n = 0; n < 1000; n++) one.acknowledge(`user-${n % 300}`, `device-${n}`, n + 1)
    await until(async () => (await two.positions('user-99', 'device-999')).own === 1000)
    expect(await two.positions('user-0', 'device-0')).toEqual({ own: 1, newest: 901 })
  })

  test('is written later where Redis takes nothing now, and known here meanwhile', async () => {
    await using group = await pair()
    const { one, two } = group
    await server.admin.config('SET', 'maxmemory', '1')
    one.acknowledge('alice', 'phone', 500)
    await until(() => one.failing !== undefined)
    expect(await one.positions('alice', 'phone')).toEqual({ own: 500, newest: 500 })
    expect(await two.positions('alice', 'phone')).toEqual({ own: undefined, newest: undefined })
    await server.admin.config('SET', 'maxmemory', '0')
    await until(async () => (await two.positions('alice', 'phone')).own === 500)
  })

  test('is kept for a season, and longer where it is used', async () => {
    await using group = await pair()
    group.one.acknowledge('alice', 'phone', 500)
    await until(async () => (await group.two.positions('alice', 'phone')).own === 500)
    const days = (await server.admin.pttl(`${group.prefix}:1:p:alice`)) / 86_400_000
    expect(days).toBeGreaterThan(89)
    expect(days).toBeLessThanOrEqual(90)
  })
})
