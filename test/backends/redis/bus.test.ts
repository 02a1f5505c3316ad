import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatEphemeral, parseBusText } from '../../../src/backends/redis/bus-envelope.ts'
import { busContract } from '../../contracts/bus.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Instance, newPrefix, openInstances } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

busContract('the bus in Redis', async () => {
  const prefix = newPrefix()
  return {
    open: async () => {
      const { store } = await Instance.open({ url: server.url, prefix })
      const { bus, messages } = store
      return { bus, interest: (topic, wanted) => messages.interest(topic, wanted), close: () => store.close() }
    },
    dispose: async () => {},
  }
})

describe('the bus in Redis on a bad day', () => {
  test('messages are dropped while Redis is away, nothing waits or throws, and later ones are told', async () => {
    await using own = await RedisServer.start()
    const { instances } = await openInstances(own, 2)
    const [one, two] = instances as [Instance, Instance]
    const heard: string[] = []
    two.store.bus.onMessage((_, { body }) => heard.push(body))
    await own.kill()
    await until(() => one.messages.failing !== undefined)
    one.store.bus.publish('all', { kind: 'frame', body: 'lost' })
    await until(() => one.store.counters().busDropped > 0)
    await own.run()
    await until(() => [one, two].every(({ messages }) => messages.failing === undefined))
    one.store.bus.publish('all', { kind: 'frame', body: 'told' })
    await until(() => heard.length > 0)
    expect(heard).toEqual(['told'])
    for (const instance of instances) await instance[Symbol.asyncDispose]()
  }, 15_000)

  test('while Redis is frozen no more is kept than a bound, and a question ends in time', async () => {
    await using own = await RedisServer.start()
    const { instances } = await openInstances(own, 2)
    const [one, two] = instances as [Instance, Instance]
    own.freeze()
    const body = 'x'.repeat(100_000)
    for (let n = 0; n < 200; n++) one.store.bus.publish('all', { kind: 'frame', body })
    expect(one.store.counters().busDropped).toBeGreaterThan(100)
    const question = one.store.bus.ask(two.store.bus.instance, { kind: 'echo', body: '' }, 50).catch((error) => error)
    expect(await question).toMatchObject({ errorName: 'unavailable' })
    own.thaw()
    for (const instance of instances) await instance[Symbol.asyncDispose]()
  }, 15_000)

  test('ephemeral and stored messages of one publisher keep their order where the first was stored', async () => {
    const { instances } = await openInstances(server, 2)
    const [one, two] = instances as [Instance, Instance]
    await two.want('room:r')
    const heard: string[] = []
    two.messages.onCommitted((batch) => heard.push(...batch.map(({ body }) => body)))
    two.store.bus.onMessage((_, message) => heard.push(message.body))
    for (let n = 0; n < 50; n++) {
      await one.publish('room:r', `stored ${n}`)
      one.store.bus.publish('room:r', { kind: 'frame', body: `typing ${n}` })
    }
    await until(() => heard.length === 100)
    expect(heard).toEqual(Array.from({ length: 50 }, (_, n) => [`stored ${n}`, `typing ${n}`]).flat())
    for (const instance of instances) await instance[Symbol.asyncDispose]()
  })

  test('what is said before something is stored is heard before it, however much is said in one turn', async () => {
    const { instances } = await openInstances(server, 2)
    const [one, two] = instances as [Instance, Instance]
    await two.want('room:r')
    const heard: string[] = []
    two.messages.onCommitted((batch) => heard.push(...batch.map(({ body }) => body)))
    two.store.bus.onMessage((_, message) => heard.push(message.body))
    const stored: Promise<unknown>[] = []
    for (let n = 0; n < 200; n++) {
      one.store.bus.publish('room:r', { kind: 'frame', body: `typing ${n}` })
      stored.push(one.publish('room:r', `stored ${n}`))
      // Both while a batch is being stored and while none is.
      if (n % 3 === 0) await stored[n - (n % 5)]
    }
    await Promise.all(stored)
    await until(() => heard.length === 400)
    const late = Array.from({ length: 200 }, (_, n) => n).filter(
      (n) => heard.indexOf(`typing ${n}`) > heard.indexOf(`stored ${n}`),
    )
    expect(late).toEqual([])
    for (const instance of instances) await instance[Symbol.asyncDispose]()
  })

  test('forged answers, foreign kinds and damaged heads are counted and ignored', async () => {
    const { prefix, instances } = await openInstances(server, 1)
    const [one] = instances as [Instance]
    const heard: string[] = []
    one.store.bus.onMessage((_, { body }) => heard.push(body))
    const all = `${prefix}:1:t:all`
    const own = `${prefix}:1:n:${one.store.bus.instance}`
    const good = formatEphemeral('other', { kind: 'frame', body: 'good' })
    const bad = [
      [all, good.replace('other', 'o ther')],
      [all, good.replace('"frame"', '""')],
      [all, good.replace('"frame"', '1')],
      [all, good.replace('["frame",null,null]', '[]')],
      [all, '1\ne\n'],
      [own, good],
      [all, '1\nq\nother\nq1\n["echo",null,null]\nbody'],
      [own, '1\na\nother\nq1\n\nforged'],
      [own, '1\na\nother\nq 1\n\nforged'],
    ] as const
    for (const [channel, text] of bad) await server.admin.publish(channel, text)
    await server.admin.publish(all, good)
    await until(() => heard.length > 0)
    expect(heard).toEqual(['good'])
    expect(one.store.counters().busIgnored).toBe(bad.length)
    await one[Symbol.asyncDispose]()
  })

  test('no text makes the reader throw', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 10 }), { maxLength: 8 }), (lines) => {
        parseBusText(lines.join('\n'))
        parseBusText(['1', 'e', 'other', '', ...lines].join('\n'))
      }),
    )
  })
})
