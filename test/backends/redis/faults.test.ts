/** Bad days of Redis, with several instances under load. "Holds": the accounting of `load.ts` finds nothing wrong. */
import { describe, expect, test } from 'bun:test'
import { isRecoverable } from '../../../src/core/recoverable.ts'
import { FaultProxy } from '../../kit/fault-proxy.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Load } from './load.ts'
import { Instance, newPrefix, openInstances } from './support.ts'

const TOPICS = ['room:a', 'room:b', 'user:alice']
const DURABLE = { args: ['--appendonly', 'yes', '--appendfsync', 'always'] }

async function cluster(server: RedisServer, count = 3) {
  const { prefix, instances, open } = await openInstances(server, count)
  for (const instance of instances) await instance.want(...TOPICS)
  const load = new Load(instances, TOPICS)
  return {
    prefix,
    instances,
    load,
    open,
    [Symbol.asyncDispose]: async () => {
      await load.stop()
      for (const instance of instances) await instance[Symbol.asyncDispose]()
    },
  }
}

describe('Redis on a bad day', () => {
  test('nothing happens: every instance is told the same, in the same order', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server)
    group.load.start(20)
    await group.load.more(3000)
    await group.load.settle()
    group.load.check({ complete: true })
    expect(group.load.failed).toBe(0)
  })

  test('it is killed and started again: what was acknowledged is told everywhere, and positions stay good', async () => {
    await using server = await RedisServer.start(DURABLE)
    await using group = await cluster(server)
    const [first] = group.instances
    const before = first?.messages.head() ?? 0
    group.load.start(10)
    for (let n = 0; n < 3; n++) {
      await group.load.more(300)
      await server.kill()
      await server.run()
    }
    await group.load.more(300)
    await group.load.settle()
    group.load.check({ complete: true })
    expect(isRecoverable(before, (await first?.messages.completeness('room:a')) as never)).toBe(true)
  }, 60_000)

  test('the subscribers lose their connections again and again', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server)
    group.load.start(10)
    for (let n = 0; n < 10; n++) {
      await group.load.more(150)
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
    await group.load.more(300)
    await group.load.settle()
    group.load.check({ complete: true })
    expect(group.instances.every(({ store }) => store.counters().lineLevelled > 5)).toBe(true)
  }, 60_000)

  test('all connections are cut again and again', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server)
    group.load.start(10)
    for (let n = 0; n < 10; n++) {
      await group.load.more(150)
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    await group.load.more(300)
    await group.load.settle()
    group.load.check({ complete: true })
  }, 60_000)

  test('the scripts are flushed', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server)
    group.load.start(10)
    for (let n = 0; n < 10; n++) {
      await group.load.more(100)
      await server.admin.script('FLUSH')
    }
    await group.load.settle()
    group.load.check({ complete: true })
    expect(group.load.failed).toBe(0)
  })

  test('the answer to a publish is lost: it is stored once, and its publisher learns so', async () => {
    await using server = await RedisServer.start()
    await using proxy = await FaultProxy.start(server.url)
    const prefix = newPrefix()
    await using behind = await Instance.open({ url: proxy.url.replace('http', 'redis'), prefix })
    await using other = await Instance.open({ url: server.url, prefix })
    for (const instance of [behind, other]) await instance.want('room:r')
    for (let n = 0; n < 50; n++) {
      proxy.dropReplyTo(/evalsha[\s\S]*room:r/)
      await behind.publish('room:r', `${n}`)
    }
    const bodies = Array.from({ length: 50 }, (_, n) => `${n}`)
    await until(() => other.told.length === 50)
    expect([behind.bodies, other.bodies]).toEqual([bodies, bodies])
  }, 60_000)

  test('it is frozen: publishes fail fast, readiness says so, and afterwards everybody is told of everything', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server, 2)
    const [first] = group.instances
    group.load.start(5)
    await group.load.more(100)
    server.freeze()
    await until(() => group.instances.every(({ messages }) => messages.failing !== undefined))
    // It stands still until after this.
    const refusal = await first?.publish('room:a', 'fast').catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'unavailable', retryAfterMs: 1000 })
    server.thaw()
    await until(() => group.instances.every(({ messages }) => messages.failing === undefined))
    await group.load.more(100)
    await group.load.settle()
    group.load.check({ complete: true })
  }, 60_000)

  test('it has no memory left: publishes fail and say why, reading goes on, and it recovers', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server, 2)
    const [first, second] = group.instances
    await first?.publish('room:a', 'before')
    await server.admin.config('SET', 'maxmemory', '1')
    const refusal = await first?.publish('room:a', 'refused').catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'unavailable' })
    await until(() => group.instances.every(({ messages }) => messages.failing?.includes('no memory left') === true))
    expect(await second?.messages.read({ topics: ['room:a'] }, 0, Date.now() * 2000, 10)).toHaveLength(1)
    await server.admin.config('SET', 'maxmemory', '0')
    await first?.publish('room:a', 'after')
    await until(() => second?.bodies.includes('after') === true)
    expect(second?.bodies).toEqual(['before', 'after'])
    await until(() => group.instances.every(({ messages }) => messages.failing === undefined))
  })

  test('it becomes a replica: publishes fail and say why, and it recovers', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server, 2)
    const [first, second] = group.instances
    await first?.publish('room:a', 'before')
    await server.admin.replicaof('127.0.0.1', 1)
    const refusal = await first?.publish('room:a', 'refused').catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'unavailable' })
    await until(() => group.instances.every(({ messages }) => messages.failing !== undefined))
    // Whoever joined a room that nobody here was in waited as long as if thousands came at once.
    let unheard: unknown
    Promise.resolve(first?.messages.interest('room:new', true)).catch((error) => {
      unheard = error
    })
    await until(() => unheard !== undefined, 6000)
    expect(unheard).toMatchObject({ errorName: 'unavailable' })
    await server.admin.replicaof('NO', 'ONE')
    await until(() => group.instances.every(({ messages }) => messages.failing === undefined))
    await first?.publish('room:a', 'after')
    await until(() => second?.bodies.includes('after') === true)
    expect(second?.bodies).toEqual(['before', 'after'])
  })

  test('it is emptied: positions from before are not good any more, everybody is told so, and it goes on', async () => {
    await using server = await RedisServer.start()
    await using group = await cluster(server, 2)
    const [first, second] = group.instances
    const { cursor } = (await first?.publish('room:a', 'before')) ?? { cursor: 0 }
    await until(() => second?.bodies.includes('before') === true)
    await server.admin.flushall()
    const after = await first?.publish('room:a', 'after')
    expect(after?.cursor).toBeGreaterThan(cursor)
    await until(() => second?.bodies.includes('after') === true)
    for (const instance of group.instances) {
      expect(instance.gaps).toMatchObject([{ topics: undefined, from: expect.any(Number) }])
      expect(isRecoverable(cursor, await instance.messages.completeness('room:a'))).toBe(false)
    }
  })

  test('it fails over to a replica that lacks the last messages: who could have missed some is told', async () => {
    await using primary = await RedisServer.start()
    await using replica = await RedisServer.start({ replicaOf: primary })
    await using proxy = await FaultProxy.start(primary.url)
    const prefix = newPrefix()
    const url = proxy.url.replace('http', 'redis')
    await using one = await Instance.open({ url, prefix })
    await using two = await Instance.open({ url, prefix })
    for (const instance of [one, two]) await instance.want('room:a')
    await one.publish('room:a', 'kept')
    await until(async () => (await replica.admin.exists(`${prefix}:1:s:room:a`)) === 1)
    await replica.admin.replicaof('NO', 'ONE')
    const lost = []
    for (let n = 0; n < 100; n++) lost.push(await one.publish('room:a', `lost ${n}`))
    await until(() => two.told.length === 101)
    proxy.aim(replica.url)
    proxy.cut()
    await until(() => [one, two].every(({ messages }) => messages.failing === undefined && one.gaps.length > 0))
    const after = await one.publish('room:a', 'after')
    await until(() => two.bodies.includes('after'))
    expect(after.cursor).toBeGreaterThan(lost.at(-1)?.cursor ?? Number.POSITIVE_INFINITY)
    for (const instance of [one, two]) {
      expect(instance.gaps.length).toBeGreaterThan(0)
      const known = await instance.messages.completeness('room:a')
      expect(isRecoverable(lost[50]?.cursor ?? 0, known)).toBe(false)
      expect(isRecoverable(after.cursor, known)).toBe(true)
    }
  })

  test('sentinels name another primary: instances find it, and go on', async () => {
    await using primary = await RedisServer.start()
    await using replica = await RedisServer.start({ replicaOf: primary })
    await until(async () => (await primary.admin.info('replication')).includes('state=online'))
    await using sentinel = await RedisServer.start({ watches: primary })
    await until(async () =>
      JSON.stringify(await sentinel.admin.call('SENTINEL', 'REPLICAS', 'main')).includes(`${replica.port}`),
    )
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/main`
    await using one = await Instance.open({ url, prefix: newPrefix() })
    await one.want('room:a')
    await one.publish('room:a', '1')
    await until(async () => Number((await primary.admin.wait(1, 100)) ?? 0) === 1)
    await primary.kill()
    await until(() => one.messages.failing !== undefined)
    await until(() => one.messages.failing === undefined)
    await one.publish('room:a', '2')
    expect(one.bodies).toEqual(['1', '2'])
    expect(((await replica.admin.call('ROLE')) as unknown[])[0]).toBe('master')
  }, 40_000)
})

// Timers run before what has come meanwhile is read: an answer that waited in the socket came too late, and the connection
// was given up with everything that was asked by it.
test('a process that stood still for a while does not take Redis for dead', async () => {
  await using own = await RedisServer.start()
  await using instance = await Instance.open({ url: own.url, prefix: newPrefix() })
  const asked = Array.from({ length: 3 }, () => instance.store.directory.totals())
  // They are written at the end of this turn of the event loop, and nothing is read before it stands still.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      const until = performance.now() + 3500
      while (performance.now() < until);
      resolve()
    })
  })
  for (const answer of asked) expect(await answer).toEqual({ connections: 0, users: 0, rooms: 0 })
  await instance.store.directory.totals()
  expect(instance.lines.filter(({ event }) => event === 'redis_disconnected')).toEqual([])
}, 20_000)
