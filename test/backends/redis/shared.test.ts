import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Ticket } from '../../../src/core/ports/tickets.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { type Instance, openInstances } from './support.ts'

let server: RedisServer
let one: Instance
let two: Instance
let prefix: string

beforeAll(async () => {
  server = await RedisServer.start()
  const opened = await openInstances(server, 2)
  ;[one, two] = opened.instances as [Instance, Instance]
  prefix = opened.prefix
})
afterAll(async () => {
  for (const instance of [one, two]) await instance[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const ticket = (holder?: string): Ticket => ({
  identity: { userId: 'alice', roles: ['dj'], expiresAt: 5 },
  ...(holder !== undefined && { holder: { connectionId: holder, deviceId: 'd' } }),
})

describe('tickets', () => {
  test('are good on every instance, and stand in no key', async () => {
    await one.store.tickets.add('t-canary', ticket(), 30_000)
    expect(await two.store.tickets.get('t-canary')).toEqual(ticket())
    expect((await server.admin.keys('*')).filter((key) => key.includes('canary'))).toEqual([])
  })

  test('let one in of those who bring one at the same time', async () => {
    await one.store.tickets.add('t1', ticket(), 30_000)
    const passes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        [one, two][n % 2]?.store.tickets.pass('t1', undefined, ticket(`c${n}`), 30_000),
      ),
    )
    expect(passes.filter(Boolean)).toHaveLength(1)
    const winner = `c${passes.indexOf(true)}`
    expect(await one.store.tickets.get('t1')).toEqual(ticket(winner))
    expect(await two.store.tickets.pass('t1', 'somebody', ticket('x'), 30_000)).toBe(false)
    expect(await two.store.tickets.pass('t1', winner, ticket('x'), 30_000)).toBe(true)
    expect(await one.store.tickets.pass('unknown', undefined, ticket('x'), 30_000)).toBe(false)
  })

  test('end with their time, which can be given anew', async () => {
    await one.store.tickets.add('t2', ticket(), 30_000)
    await one.store.tickets.pass('t2', undefined, ticket('phone'), 1000)
    await one.store.tickets.keep('t2', 'laptop', 0)
    await two.store.tickets.keep('t2', 'phone', 5000)
    await server.age(prefix, 2000)
    expect(await one.store.tickets.get('t2')).toEqual(ticket('phone'))
    await two.store.tickets.keep('t2', 'phone', 0)
    expect(await one.store.tickets.get('t2')).toBeUndefined()
    await two.store.tickets.keep('unknown', 'phone', 5000)
    expect(await one.store.tickets.get('unknown')).toBeUndefined()
    await one.store.tickets.add('t3', ticket(), 1000)
    await server.age(prefix, 1001)
    expect(await two.store.tickets.get('t3')).toBeUndefined()
  })
})

describe('the shelf', () => {
  test('has what another instance put there, until its time is up', async () => {
    await one.store.shelf.put('a', 'first', 5000)
    await one.store.shelf.put('a', 'second', 5000)
    expect(await two.store.shelf.get('a')).toBe('second')
    await server.age(prefix, 5001)
    expect(await two.store.shelf.get('a')).toBeUndefined()
    await one.store.shelf.put('b', 'x', 5000)
    await one.store.shelf.put('b', 'x', 0)
    expect(await two.store.shelf.get('b')).toBeUndefined()
  })

  // A client that was cut came back by another instance, which was told that the connection had ended and found nothing of it.
  test('has what was put there before this instance tells anybody anything', async () => {
    const monitor = await server.admin.monitor()
    const seen: string[] = []
    monitor.on('monitor', (_time: string, args: string[]) => seen.push(args.join(' ')))
    const put = one.store.shelf.put('d', 'kept', 5000)
    one.store.bus.publish('told', { kind: 'message', body: 'told' })
    await put
    const when = (word: string) => seen.findIndex((command) => command.includes(word))
    await until(() => when('told') >= 0 && when('kept') >= 0)
    monitor.disconnect()
    expect(when('kept')).toBeLessThan(when('told'))
  })

  test('takes one of several under a name, and tells the others which', async () => {
    const claims = Array.from({ length: 10 }, (_, n) => [one, two][n % 2]?.store.shelf.claim('c', `${n}`, 5000))
    const answers = await Promise.all(claims)
    const winner = String(answers.indexOf(undefined))
    expect(answers.toSorted()).toEqual([...Array(9).fill(winner), undefined])
    expect(await two.store.shelf.get('c')).toBe(winner)
  })
})
