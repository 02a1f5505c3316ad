import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { isRecoverable } from '../../../src/core/recoverable.ts'
import { FaultProxy } from '../../kit/fault-proxy.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Instance, newPrefix, openInstances, TestClock } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function pair(clock = new TestClock()) {
  const { prefix, instances } = await openInstances(server, 2, { clock })
  const [one, two] = instances as [Instance, Instance]
  const close = async (): Promise<void> => {
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
  }
  return { prefix, one, two, [Symbol.asyncDispose]: close }
}

/** Adds a message to a topic as the script does, but tells nobody of it. */
async function storeSilently(prefix: string, topic: string, body: string): Promise<number> {
  const log = `${prefix}:1:log`
  const [last, state] = await server.admin.hmget(log, 'last', `t:${topic}`)
  const [previous = '0', keepMs = '3600000', looked = '0', count = '0'] = (state ?? '').split(' ').filter(Boolean)
  const cursor = Number(last) + 1
  const fields = { p: previous, n: Number(count) + 1, a: Date.now(), i: 'silent', d: '', b: body }
  await server.admin.xadd(`${prefix}:1:s:${topic}`, `${cursor}-0`, ...Object.entries(fields).flat())
  await server.admin.hset(log, 'last', cursor, `t:${topic}`, `${cursor} ${keepMs} ${looked} ${Number(count) + 1}`)
  return cursor
}

describe('what an instance is told', () => {
  test('are the topics that it wants, and no others', async () => {
    await using group = await pair()
    const { one, two, prefix } = group
    await one.want('room:a')
    await two.want('room:a', 'room:b')
    await one.publish('room:b', 'b1')
    await one.publish('room:a', 'a1')
    await until(() => two.told.length === 2)
    expect([one.bodies, two.bodies]).toEqual([['a1'], ['b1', 'a1']])
    const channels = await server.admin.pubsub(
      'NUMSUB',
      `${prefix}:1:t:room:a`,
      `${prefix}:1:t:room:b`,
      `${prefix}:1:t:room:c`,
    )
    expect(channels.filter((_, place) => place % 2 === 1)).toEqual([2, 1, 0])
  })

  test('is not all that can be read: what is stored and was not told yet is asked for', async () => {
    await using group = await pair()
    const { two, prefix } = group
    await two.want('room:a')
    await storeSilently(prefix, 'room:a', 'on its way')
    const upTo = Number.MAX_SAFE_INTEGER
    expect(await two.messages.read({ topics: ['room:a'] }, two.messages.head(), upTo, 10)).toMatchObject([
      { body: 'on its way' },
    ])
    expect(await two.messages.tail('room:a', 1, upTo)).toMatchObject([{ body: 'on its way' }])
  })

  test('a message for nobody here moves the head all the same, once it is stored', async () => {
    await using group = await pair()
    const { cursor } = await group.one.publish('room:nobody', 'x')
    expect(group.one.messages.head()).toBeGreaterThanOrEqual(cursor)
    expect(group.one.told).toEqual([])
    await until(() => group.two.messages.head() >= cursor)
  })

  test('the connection that a message came from is known on every instance', async () => {
    await using group = await pair()
    await group.two.want('room:a')
    await group.one.publish('room:a', 'x', { origin: 'c1', device: 'phone' })
    await until(() => group.two.told.length === 1)
    expect(group.two.told[0]).toMatchObject({ origin: 'c1', device: 'phone', topic: 'room:a' })
  })

  test('also where the instance that published it had to read it from the log', async () => {
    await using group = await pair()
    const { one } = group
    await one.want('room:a')
    const levelled = one.store.counters().lineLevelled
    for (let n = 0; n < 10; n++) {
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await one.publish('room:a', `${n}`, { origin: `c${n}` })
    }
    expect(one.store.counters().lineLevelled).toBeGreaterThan(levelled)
    expect(one.told.map(({ body, origin }) => [body, origin])).toEqual(
      Array.from({ length: 10 }, (_, n) => [`${n}`, `c${n}`]),
    )
  })

  test('a topic that is wanted while others publish has neither a gap nor a double between reading and hearing', async () => {
    await using group = await pair()
    const { one, two } = group
    let publishing = true
    const sent: string[] = []
    const publisher = (async () => {
      for (let n = 0; publishing; n++) {
        await one.publish(`room:${n % 5}`, `${n}`)
        sent.push(`${n}`)
      }
    })()
    for (let n = 0; n < 40; n++) {
      const topic = `room:${n % 5}`
      await two.messages.interest(topic, true)
      const head = two.messages.head()
      const read = await two.messages.read({ topics: [topic] }, 0, head, 100_000)
      const count = sent.length
      await until(() => sent.length > count + 20)
      const heard = two.told.filter((message) => message.topic === topic && message.cursor > head)
      const last = heard.at(-1)?.cursor ?? head
      const whole = await one.messages.read({ topics: [topic] }, 0, last, 100_000)
      expect([...read, ...heard].map(({ body }) => body)).toEqual(whole.map(({ body }) => body))
      two.messages.interest(topic, false)
    }
    publishing = false
    await publisher
  }, 30_000)

  test('a session that catches up can read to its end in one turn', async () => {
    await using group = await pair()
    await group.two.want('room:a', 'room:b')
    const from = group.two.messages.head()
    for (const n of [1, 2, 3]) await group.one.publish(n === 2 ? 'room:b' : 'room:a', `${n}`)
    await until(() => group.two.told.length === 3)
    const read = group.two.messages.read({ topics: ['room:a', 'room:b'] }, from, group.two.messages.head(), 10)
    expect(read).not.toBeInstanceOf(Promise)
    const known = group.two.messages.completeness('room:a', from)
    expect(known).not.toBeInstanceOf(Promise)
    expect(isRecoverable(from, await known)).toBe(true)
    expect(isRecoverable(from - 1, await known)).toBe(false)
    expect(isRecoverable(from - 1, await group.two.messages.completeness('room:a', from - 1))).toBe(true)
    expect((read as readonly { body: string }[]).map(({ body }) => body)).toEqual(['1', '2', '3'])
  })

  test('a topic that is not wanted any more is told of for a while, and then not subscribed to', async () => {
    const clock = new TestClock()
    await using group = await pair(clock)
    const { one, two, prefix } = group
    await two.want('room:a')
    two.messages.interest('room:a', false)
    expect(two.messages.interest('room:a', true)).toBeUndefined()
    two.messages.interest('room:a', false)
    await one.publish('room:a', '1')
    await until(() => two.bodies.length === 1)
    clock.pass(6000)
    await until(async () => (await server.admin.pubsub('NUMSUB', `${prefix}:1:t:room:a`))[1] === 0)
    await two.want('room:a')
    await one.publish('room:a', '2')
    await until(() => two.bodies.length === 2)
  })

  test('a hole is read from the log before what comes after it is told', async () => {
    await using group = await pair()
    const { one, two, prefix } = group
    await one.want('room:a')
    await two.want('room:a')
    await one.publish('room:a', '1')
    await storeSilently(prefix, 'room:a', '2')
    await one.publish('room:a', '3')
    await until(() => two.told.length === 3)
    expect([one.bodies, two.bodies]).toEqual([
      ['1', '2', '3'],
      ['1', '2', '3'],
    ])
    expect([one.gaps, two.gaps]).toEqual([[], []])
  })

  test('a message that was lost last is found though nothing more is said', async () => {
    const clock = new TestClock()
    await using group = await pair(clock)
    await group.two.want('room:a')
    await group.one.publish('room:a', '1')
    await storeSilently(group.prefix, 'room:a', '2')
    clock.pass(2000)
    await until(() => group.two.told.length === 2)
    expect(group.two.bodies).toEqual(['1', '2'])
  })

  test('a position moves on where nothing is said', async () => {
    const clock = new TestClock()
    await using group = await pair(clock)
    const head = group.one.messages.head()
    clock.pass(2000)
    await until(() => group.one.messages.head() > head)
    expect([group.one.told, group.one.gaps]).toEqual([[], []])
  })

  test('what the log does not have any more when an instance comes back is told as a gap, before what follows', async () => {
    await using proxy = await FaultProxy.start(server.url)
    const prefix = newPrefix()
    await using one = await Instance.open({ url: server.url, prefix })
    await using two = await Instance.open({ url: proxy.url.replace('http', 'redis'), prefix })
    await two.want('room:small', 'room:large')
    const retention = { maxMessages: 5, maxAgeMs: 3_600_000 }
    await one.publish('room:small', 'before', { retention })
    await until(() => two.told.length === 1)
    const from = two.messages.head()
    let toldAtGap = -1
    two.messages.onGap((gap) => {
      toldAtGap = two.told.length
      two.gaps.push(gap)
    })
    proxy.set({ refuse: true })
    proxy.cut()
    for (let n = 0; n < 20; n++) await one.publish('room:small', `${n}`, { retention })
    await one.publish('room:large', 'whole')
    proxy.heal()
    await until(() => two.bodies.includes('whole'))
    expect(two.gaps).toEqual([{ topics: ['room:small'], from, to: expect.any(Number) }])
    expect(toldAtGap).toBe(1)
    expect(two.bodies).toEqual(['before', '15', '16', '17', '18', '19', 'whole'])
  }, 15_000)
})

describe('a neighbour in the same Redis', () => {
  test('garbage, giants, other versions and other epochs are counted and ignored', async () => {
    await using group = await pair()
    const { one, two, prefix } = group
    await one.want('room:a')
    await two.want('room:a')
    await one.publish('room:a', '1')
    const epoch = await server.admin.hget(`${prefix}:1:log`, 'epoch')
    const details = '["id",null,null,1,1]'
    const forged = [
      '',
      'hello',
      '{"type":"chat"}',
      `2\nm\n${epoch}\n9\n0\n1\n${details}\nbody`,
      `1\nm\nother\n9007199254740990\n0\n1\n${details}\nbody`,
      `1\nm\n${epoch}\n1\n0\n1\n${details}\nold`,
      `1\nm\n${epoch}\n9007199254740990\n0\n1\n${details}\nfar ahead`,
      Buffer.alloc(9 * 1024 * 1024, 0x31),
      Buffer.from([0xff, 0xfe, 0x00]),
    ]
    for (const data of forged) await server.admin.publish(`${prefix}:1:t:room:a`, data)
    await one.publish('room:a', '2')
    await until(() => [one, two].every(({ told }) => told.length === 2))
    expect([one.bodies, two.bodies]).toEqual([
      ['1', '2'],
      ['1', '2'],
    ])
    expect(two.store.counters().busIgnored).toBeGreaterThanOrEqual(forged.length - 1)
  })

  test('a message that claims a predecessor that nobody had is looked up in the log, and not found', async () => {
    await using group = await pair()
    const { one, two, prefix } = group
    await two.want('room:a')
    const { cursor } = await one.publish('room:a', '1')
    const epoch = await server.admin.hget(`${prefix}:1:log`, 'epoch')
    const levelled = two.store.counters().lineLevelled
    const forged = `1\nm\n${epoch}\n${cursor + 2}\n${cursor + 1}\n1\n["id",null,null,1,1]\nforged`
    await server.admin.publish(`${prefix}:1:t:room:a`, forged)
    await until(() => two.store.counters().lineLevelled > levelled)
    await one.publish('room:a', '2')
    await until(() => two.told.length === 2)
    expect(two.bodies).toEqual(['1', '2'])
  })
})

describe('keys that vanish one by one, as where Redis evicts them', () => {
  test('a topic whose messages are gone says so, and so does one that got new ones since', async () => {
    await using group = await pair()
    const { one, prefix } = group
    const before = one.messages.head()
    const first = await one.publish('room:a', '1')
    await server.admin.del(`${prefix}:1:s:room:a`)
    const recovers = async (position: number) => isRecoverable(position, await one.messages.completeness('room:a'))
    expect([await recovers(before), await recovers(first.cursor)]).toEqual([false, true])
    await one.publish('room:a', '2')
    expect([await recovers(before), await recovers(first.cursor)]).toEqual([false, true])
  })

  test('without the hash of the log it is a new birth, on reads too', async () => {
    await using group = await pair()
    const { one, prefix } = group
    const { cursor } = await one.publish('room:a', '1')
    await server.admin.del(`${prefix}:1:log`)
    expect(isRecoverable(cursor, await one.messages.completeness('room:a'))).toBe(false)
    const next = await one.publish('room:a', '2')
    expect(next.cursor).toBeGreaterThan(cursor)
  })

  test('topics that were empty for longer than the horizon are forgotten, and positions from then with them', async () => {
    const prefix = newPrefix()
    await using one = await Instance.open({ url: server.url, prefix, horizonMs: 1, forgetIntervalMs: 10 })
    const { cursor } = await one.publish('room:gone', '1')
    await one.publish('room:kept', '1')
    await server.admin.del(`${prefix}:1:s:room:gone`)
    await until(async () => (await server.admin.hget(`${prefix}:1:log`, 't:room:gone')) === null)
    expect(await server.admin.hget(`${prefix}:1:log`, 't:room:kept')).not.toBeNull()
    const { completeSince } = await one.messages.completeness('room:gone')
    expect(completeSince).toBe(cursor)
  })
})
