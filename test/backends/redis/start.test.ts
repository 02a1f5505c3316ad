import { describe, expect, test } from 'bun:test'
import { explainRefusal } from '../../../src/backends/redis/failures.ts'
import { isRecoverable } from '../../../src/core/recoverable.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Instance, newPrefix, openInstances, TestClock } from './support.ts'

async function refusalOf(url: string): Promise<string> {
  const instance = await Instance.open({ url, prefix: newPrefix(), startPatienceMs: 300 }).catch((error) => error)
  return instance.message
}

describe('a start', () => {
  test('refuses a Redis Cluster, and says why', async () => {
    await using server = await RedisServer.start({ args: ['--cluster-enabled', 'yes'] })
    expect(await refusalOf(server.url)).toContain('Redis Cluster. All messages have one order')
  })

  test('refuses one of Valkey, which has another name for it', async () => {
    const info = 'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nserver_mode:cluster\r\n'
    using valkey = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket, chunk) {
          for (const [, command] of chunk.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g))
            socket.write(command?.toLowerCase() === 'info' ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n')
        },
      },
    })
    expect(await refusalOf(`redis://127.0.0.1:${valkey.port}`)).toContain('Redis Cluster. All messages have one order')
  })

  test('refuses a replica, and says what to name instead', async () => {
    await using primary = await RedisServer.start()
    await using replica = await RedisServer.start({ replicaOf: primary })
    expect(await refusalOf(replica.url)).toContain('name its primary in redis.url')
  })

  test('without a password, with a wrong one, and with one that may not do what it must, says so', async () => {
    await using server = await RedisServer.start({ password: 'secret' })
    const at = (login: string): string => server.url.replace('//', `//${login}@`)
    expect(await refusalOf(server.url)).toContain('wants a password')
    expect(await refusalOf(at(':wrong'))).toContain('does not know the user or the password')
    await server.admin.acl('SETUSER', 'app', 'on', '>own', '~*', '&*', '+@all', '-publish')
    await server.admin.acl('SETUSER', 'blind', 'on', '>own', '~*', '&*', '+@all', '-info')
    expect(await refusalOf(at('blind:own'))).toContain('see its ACL')
    await server.admin.acl('SETUSER', 'timeless', 'on', '>own', '~*', '&*', '+@all', '-time')
    expect(await refusalOf(at('timeless:own'))).toContain('see its ACL')
    expect(await refusalOf(at('app:own'))).toMatch(/does not come|do not come/)
    await using good = await Instance.open({ url: at(':secret'), prefix: newPrefix() })
    expect(good.messages.failing).toBeUndefined()
  })

  test('without a Redis says where it looked', async () => {
    const server = await RedisServer.start()
    await server[Symbol.asyncDispose]()
    expect(await refusalOf(server.url)).toContain(`127.0.0.1:${server.port}`)
  })

  test('waits for a Redis that is just starting', async () => {
    await using server = await RedisServer.start()
    await server.kill()
    const opening = Instance.open({ url: server.url, prefix: newPrefix() })
    await server.run()
    await using instance = await opening
    expect(await instance.publish('room:r', 'x')).toHaveProperty('cursor')
  })

  test('keeps to a user that may only touch its own keys and channels', async () => {
    await using server = await RedisServer.start()
    const prefix = newPrefix()
    await server.admin.acl(
      'SETUSER',
      'app',
      'on',
      '>own',
      `~${prefix}:*`,
      `&${prefix}:*`,
      '+@all',
      '-@dangerous',
      '+info',
    )
    await using instance = await Instance.open({ url: server.url.replace('//', '//app:own@'), prefix })
    await instance.want('room:r')
    await instance.publish('room:r', 'x', { idempotency: { scope: 's', key: 'k' } })
    instance.messages.acknowledge('alice', 'phone', 5)
    await instance.store.states.patch('lobby', { a: 1 }, undefined)
    expect(await instance.messages.tail('room:r', 1, instance.messages.head())).toHaveLength(1)
    expect(instance.bodies).toEqual(['x'])
    expect(instance.messages.failing).toBeUndefined()
  })
})

describe('the end', () => {
  test('comes in time though Redis is frozen', async () => {
    await using server = await RedisServer.start()
    const instance = await Instance.open({ url: server.url, prefix: newPrefix() })
    server.freeze()
    const publishing = instance.publish('room:r', 'x').catch((error) => error)
    instance.messages.acknowledge('alice', 'phone', 5)
    await instance[Symbol.asyncDispose]()
    expect(await publishing).toMatchObject({ errorName: 'unavailable' })
  }, 10_000)

  test('leaves no connection', async () => {
    await using server = await RedisServer.start()
    const instance = await Instance.open({ url: server.url, prefix: newPrefix() })
    const clients = async () => (await server.admin.call('CLIENT', 'LIST')) as string
    expect(await clients()).toContain('name=tidings-')
    await instance[Symbol.asyncDispose]()
    await until(async () => !(await clients()).includes('name=tidings-'))
  })
})

describe('another run of Redis', () => {
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

  test('with an instance that lived through it: positions are good where nothing was lost', async () => {
    await using server = await RedisServer.start({ args: durable })
    const { instances, open } = await openInstances(server, 1)
    const [one] = instances as [Instance]
    const { cursor } = await one.publish('room:r', '1')
    await server.kill()
    await server.run()
    await until(() => one.messages.failing === undefined)
    await using two = await open()
    expect(isRecoverable(cursor, await two.messages.completeness('room:r'))).toBe(true)
    await one[Symbol.asyncDispose]()
  })

  test('without one: positions are good where Redis writes everything through to the disk', async () => {
    await using server = await RedisServer.start({ args: durable })
    const { instances, open } = await openInstances(server, 1)
    const [one] = instances as [Instance]
    const { cursor } = await one.publish('room:r', '1')
    await one[Symbol.asyncDispose]()
    await server.kill()
    await server.run()
    await using two = await open()
    expect(isRecoverable(cursor, await two.messages.completeness('room:r'))).toBe(true)
  })

  test('without one, and with a Redis that writes a little later: nobody is told that he has missed nothing', async () => {
    await using server = await RedisServer.start({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
    const { instances, open } = await openInstances(server, 1)
    const [one] = instances as [Instance]
    const { cursor } = await one.publish('room:r', '1')
    await one[Symbol.asyncDispose]()
    await server.stop()
    await server.run()
    await using two = await open()
    expect(await two.messages.read({ topics: ['room:r'] }, 0, two.messages.head(), 10)).toHaveLength(1)
    expect(isRecoverable(cursor, await two.messages.completeness('room:r'))).toBe(false)
    expect(isRecoverable(two.messages.head(), await two.messages.completeness('room:r'))).toBe(true)
  })

  test('an instance that reports late that it has seen more makes a gap for everybody', async () => {
    await using server = await RedisServer.start()
    const { prefix, instances, open } = await openInstances(server, 2)
    const [early, late] = instances as [Instance, Instance]
    await early.want('room:r')
    await late.publish('room:r', '1')
    const log = `${prefix}:1:log`
    const known = await late.messages.completeness('room:r')
    // As after a failover that only the early one knows of yet: another run, whose data ends before what the late one saw.
    await server.admin.hset(log, 'run', 'other', 'last', known.completeSince)
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(() => [early, late].every(({ gaps, messages }) => gaps.length > 0 && messages.failing === undefined))
    await using third = await open()
    expect(isRecoverable(known.completeSince, await third.messages.completeness('room:r'))).toBe(false)
    for (const instance of [early, late]) await instance[Symbol.asyncDispose]()
  })
})

describe('clocks', () => {
  test('cursors grow over all instances, though their clocks are minutes and days apart and jump', async () => {
    await using server = await RedisServer.start()
    const prefix = newPrefix()
    const clocks = [0, 300_000, 86_400_000, -86_400_000].map((behindMs) => new TestClock(behindMs))
    const instances: Instance[] = []
    for (const clock of clocks) instances.push(await Instance.open({ url: server.url, prefix, clock }))
    const cursors: number[] = []
    for (let n = 0; n < 200; n++) {
      const instance = instances[n % instances.length] as Instance
      cursors.push((await instance.publish('room:r', `${n}`)).cursor)
    }
    expect(cursors).toEqual([...new Set(cursors)].sort((a, b) => a - b))
    const ahead = (cursors.at(-1) ?? 0) / 1000 - Date.now()
    expect(ahead).toBeLessThan(1000)
    for (const instance of instances) await instance[Symbol.asyncDispose]()
  })
})

describe('replicas that must confirm', () => {
  test('a message is acknowledged when they have, and refused where they are missing, though it is told', async () => {
    await using primary = await RedisServer.start()
    const replica = await RedisServer.start({ replicaOf: primary })
    await using instance = await Instance.open({ url: primary.url, prefix: newPrefix(), minReplicas: 1 })
    await instance.want('room:r')
    await until(async () => (await primary.admin.info('replication')).includes('state=online'))
    expect(await instance.publish('room:r', '1')).toHaveProperty('cursor')
    expect(instance.messages.failing).toBeUndefined()
    await replica[Symbol.asyncDispose]()
    const refusal = await instance.publish('room:r', '2').catch((error) => error)
    expect(refusal).toMatchObject({ errorName: 'unavailable' })
    expect(instance.messages.failing).toContain('redis.min_replicas')
    await until(() => instance.bodies.length === 2)
  }, 10_000)
})

test.each([
  "ERR The user executing the script can't run this command or subcommand script: 5d, on @user_script:3.",
  "ERR ACL failure in script: User app has no permissions to run the 'time' command script: 5d, on @user_script:3.",
])('a script that may not do something is said to lack a right: %s', (text) => {
  expect(explainRefusal(text)).toContain('see its ACL')
})
