import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Passage } from '../../../src/core/ports/backend.ts'
import type { Listed, Lookup, SeatLimits } from '../../../src/core/ports/directory.ts'
import type { Session } from '../../../src/core/session.ts'
import { FaultProxy } from '../../kit/fault-proxy.ts'
import { RedisServer } from '../../kit/redis.ts'
import { until } from '../../support/until.ts'
import { Process, UNLIMITED } from './process.ts'
import { newPrefix } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function processes(count: number, own = server) {
  const prefix = newPrefix()
  const all: Process[] = []
  for (let n = 0; n < count; n++) all.push(await Process.open(own.url, prefix))
  return {
    prefix,
    all: all as [Process, Process, Process],
    [Symbol.asyncDispose]: async () => {
      for (const each of all) await each[Symbol.asyncDispose]()
    },
  }
}

const limited = (limits: Partial<SeatLimits>): SeatLimits => ({ ...UNLIMITED, ...limits })

async function listed(process: Process, lookup: Lookup = {}): Promise<Listed[]> {
  return (await Array.fromAsync(process.directory.connections(lookup))).flat()
}

/** As if its lease had run out a while ago, which takes 15 seconds. */
async function expire(prefix: string, instance: string): Promise<void> {
  await server.admin.del(`${prefix}:1:l:${instance}`)
  await server.admin.zadd(`${prefix}:1:instances`, 'XX', 1, instance)
}

/** Every key of a prefix but those that go by themselves or stand for the log. */
async function keysLeft(prefix: string): Promise<string[]> {
  const keys = await server.admin.keys(`${prefix}:1:*`)
  return keys
    .map((key) => key.slice(`${prefix}:1:`.length))
    .filter((key) => key !== 'log' && key !== 'passages' && !key.startsWith('w:'))
    .sort()
}

describe('places', () => {
  test('hold over all instances: per user, per address, in total', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const full = async (process: Process, limits: Partial<SeatLimits>, userId: string, addressKey: string) =>
      (await process.reserve({ userId, addressKey, limits: limited(limits) })).seating
    expect(await full(one, { perUser: 2 }, 'alice', 'a1')).toMatchObject({ seated: true })
    expect(await full(two, { perUser: 2 }, 'alice', 'a2')).toMatchObject({ seated: true })
    expect(await full(one, { perUser: 2 }, 'alice', 'a3')).toEqual({ seated: false, full: 'user' })
    expect(await full(two, { perUser: 2 }, 'bob', 'a1')).toMatchObject({ seated: true })
    expect(await full(one, { perAddress: 2 }, 'carol', 'a1')).toEqual({ seated: false, full: 'address' })
    expect(await full(two, { total: 3 }, 'carol', 'a9')).toEqual({ seated: false, full: 'total' })
    expect(await full(two, { total: 4 }, 'carol', 'a9')).toMatchObject({ seated: true })
  })

  test('are never given out twice under a race, and all of them are given out', async () => {
    await using group = await processes(3)
    for (let round = 0; round < 10; round++) {
      const tries = Array.from({ length: 100 }, (_, n) =>
        (group.all[n % 3] as Process).connect({ userId: `user${round}`, limits: limited({ perUser: 3 }) }),
      )
      expect((await Promise.all(tries)).filter((session) => session !== undefined)).toHaveLength(3)
    }
  })

  test('of the oldest go to the newest where that is the policy, and those who lost theirs are told', async () => {
    await using group = await processes(3)
    const limits = limited({ perUser: 3, perUserPolicy: 'close_oldest' })
    const seatings = await Promise.all(
      Array.from({ length: 60 }, (_, n) => (group.all[n % 3] as Process).reserve({ limits })),
    )
    expect(seatings.every(({ seating }) => seating.seated)).toBe(true)
    const evicted = seatings.flatMap(({ seating }) => (seating.seated && seating.evicted ? [seating.evicted] : []))
    expect(new Set(evicted.map(({ connectionId }) => connectionId)).size).toBe(57)
    expect(await group.all[0].directory.connectionsOf('alice')).toBe(3)
    const names = new Set(group.all.map(({ name }) => name))
    expect(evicted.every(({ instance }) => names.has(instance))).toBe(true)
  })

  test('that were taken by others while the connection was opening are noticed when it is written down', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const limits = limited({ perUser: 1, perUserPolicy: 'close_oldest' })
    const first = (await one.connect({ limits })) as Session
    const second = await two.connect({ limits })
    expect(second).toBeDefined()
    expect(await one.directory.list(first)).toBe('replaced')
  })

  test('are free again when the connection is gone, and leave nothing', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    const limits = limited({ perUser: 1 })
    for (let n = 0; n < 20; n++) {
      const process = n % 2 === 0 ? one : two
      const session = (await process.connect({ limits })) as Session
      await process.join(session, 'lobby')
      process.end(session)
      await until(async () => (await one.directory.connectionsOf('alice')) === 0)
    }
    expect(await one.directory.totals()).toEqual({ connections: 0, users: 0, rooms: 0 })
    expect(await keysLeft(prefix)).toEqual([`l:${one.name}`, `l:${two.name}`, 'instances'].sort())
  })
})

describe('rooms', () => {
  test('count users, not devices, over all instances', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const phone = (await one.connect({ userId: 'alice', username: 'Alice' })) as Session
    const laptop = (await two.connect({ userId: 'alice', username: 'Alice' })) as Session
    const bob = (await two.connect({ userId: 'bob' })) as Session
    expect(await one.join(phone, 'lobby')).toBe(1)
    expect(await two.join(laptop, 'lobby')).toBe(1)
    expect(await two.join(bob, 'lobby')).toBe(2)
    expect(await one.attendances.participants('lobby', 10)).toEqual([
      { id: 'alice', username: 'Alice' },
      { id: 'bob', username: undefined },
    ])
    expect(await one.attendances.participants('lobby', 1)).toHaveLength(1)
    expect(await one.directory.connectionsIn('lobby')).toBe(3)
    await one.leave(phone, 'lobby')
    expect(await one.attendances.count('lobby')).toBe(2)
    for (let n = 0; n < 2; n++) await two.leave(laptop, 'lobby')
    expect(await one.attendances.count('lobby')).toBe(1)
    expect(await one.directory.connectionsIn('lobby')).toBe(1)
  })

  // Each instance told of what its own scripts had answered: a going could be heard before the coming.
  test('are told of in one order everywhere, whoever comes and goes by whichever instance', async () => {
    await using group = await processes(3)
    const sessions = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const process = group.all[n % 3] as Process
        return { process, session: (await process.connect({ userId: `user${n % 5}` })) as Session }
      }),
    )
    for (const process of group.all) await process.watch('lobby')
    for (let n = 0; n < 10; n++) {
      const coming = sessions.map(async ({ process, session }, place) => {
        await process.enter(session, 'lobby')
        // Some are cut before they can be reached.
        if ((place + n) % 3 !== 0) process.attendances.announce('lobby', session)
        await process.leave(session, 'lobby')
      })
      await Promise.all(coming)
    }
    const [last] = sessions
    await last?.process.join(last.session, 'lobby')
    const heard = group.all.map(({ passages }) => passages)
    await until(() => heard.every((passages) => passages.length === heard[0]?.length && passages.at(-1)?.came))
    expect(heard[1]).toEqual(heard[0] as Passage[])
    expect(heard[2]).toEqual(heard[0] as Passage[])
    const there = new Set<string>()
    for (const { userId, came, participants } of heard[0] as Passage[]) {
      expect(there.has(userId)).toBe(!came)
      if (came) there.add(userId)
      else there.delete(userId)
      expect(participants).toBe(there.size)
    }
    expect([...there]).toEqual(['user0'])
    expect(await group.all[0].attendances.count('lobby')).toBe(1)
  })

  // Whoever was not subscribed for a moment kept those in its lists who had left, until somebody else came.
  test('tell an instance whose subscription was broken what it has missed, in order and once', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    await using proxy = await FaultProxy.start(server.url)
    await using away = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    const sessions = await Promise.all(
      Array.from({ length: 3 }, async (_, n) => (await one.connect({ userId: `user${n}` })) as Session),
    )
    const [first, second, third] = sessions as [Session, Session, Session]
    const kept = (await away.connect({ userId: 'kept' })) as Session
    await one.watch('lobby')
    await away.join(kept, 'lobby')
    await one.join(first, 'lobby')
    await until(() => away.passages.length === 2)
    proxy.set({ refuse: true })
    proxy.cut()
    await one.join(second, 'lobby')
    await one.join(second, 'elsewhere')
    await one.leave(first, 'lobby')
    await one.join(third, 'lobby')
    proxy.heal()
    await until(() => away.instance.messages.failing === undefined)
    await until(() => away.passages.length >= 5)
    await one.leave(third, 'lobby')
    await until(() => away.passages.at(-1)?.userId === 'user2' && away.passages.at(-1)?.came === false)
    expect(away.passages).toEqual(one.passages.filter(({ room }) => room === 'lobby').slice(-6))
    expect(away.passages.map(({ userId, came, participants }) => [userId, came, participants])).toEqual([
      ['kept', true, 1],
      ['user0', true, 2],
      ['user1', true, 3],
      ['user0', false, 2],
      ['user2', true, 3],
      ['user2', false, 2],
    ])
    expect(away.recounts).toEqual([])
  }, 20_000)

  test('tell an instance that missed more than is kept how many are there now', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    await using proxy = await FaultProxy.start(server.url)
    await using away = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    await away.join((await away.connect({ userId: 'kept' })) as Session, 'lobby')
    proxy.set({ refuse: true })
    proxy.cut()
    await one.join((await one.connect({ userId: 'first' })) as Session, 'lobby')
    await server.admin.xtrim(`${prefix}:1:passages`, 'MAXLEN', 0)
    await one.join((await one.connect({ userId: 'second' })) as Session, 'lobby')
    proxy.heal()
    await until(() => away.recounts.length > 0)
    expect(away.recounts).toEqual(['lobby'])
    expect(away.rooms.get('lobby')?.participants).toBe(3)
    expect(away.passages).toHaveLength(1)
  }, 20_000)

  // It brought him in as one who is still to be announced, and nobody announced him any more.
  test('count him again whom an instance had announced and did not hear of before it was taken for dead', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    await using proxy = await FaultProxy.start(server.url)
    await using away = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    await one.join((await one.connect({ userId: 'kept' })) as Session, 'lobby')
    const alice = (await away.connect()) as Session
    await away.enter(alice, 'lobby')
    proxy.set({ refuse: true })
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    away.attendances.announce('lobby', alice)
    await until(() => one.passages.length === 2)
    proxy.cut()
    await expire(prefix, away.name)
    await until(() => one.passages.length === 3)
    // It does not hear of him afterwards either.
    await server.admin.xtrim(`${prefix}:1:passages`, 'MAXLEN', 0)
    proxy.heal()
    await until(() => one.passages.length === 4)
    expect(one.passages.map(({ userId, came, participants }) => [userId, came, participants])).toEqual([
      ['kept', true, 1],
      ['alice', true, 2],
      ['alice', false, 1],
      ['alice', true, 2],
    ])
    expect(await one.attendances.count('lobby')).toBe(2)
  }, 20_000)

  test('do not count who has entered and cannot be reached yet', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const phone = (await one.connect({ userId: 'alice' })) as Session
    const laptop = (await two.connect({ userId: 'alice' })) as Session
    await two.watch('lobby')
    await one.enter(phone, 'lobby')
    expect(one.attendances.isTold('lobby', 'alice')).toBe(false)
    expect(await one.attendances.count('lobby')).toBe(0)
    expect(await two.join(laptop, 'lobby')).toBe(1)
    // Whoever comes second is not told of, though it was the first to enter.
    await until(() => one.attendances.isTold('lobby', 'alice'))
    one.attendances.announce('lobby', phone)
    await two.leave(laptop, 'lobby')
    expect(await one.attendances.has('lobby', 'alice')).toBe(true)
    await one.leave(phone, 'lobby')
    await until(() => two.passages.length === 2)
    expect(two.passages.map(({ came }) => came)).toEqual([true, false])
  })

  // Its client was answered, and acted at another instance at once: it was no member there, and in no list.
  test('have whoever has entered, though others were not told yet', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const session = (await one.connect({ userId: 'alice' })) as Session
    expect(await two.attendances.has('lobby', 'alice')).toBe(false)
    await one.enter(session, 'lobby')
    expect(await two.attendances.has('lobby', 'alice')).toBe(true)
    expect(await listed(two, { room: 'lobby' })).toMatchObject([{ connectionId: session.connectionId }])
    await one.leave(session, 'lobby')
    expect(await two.attendances.has('lobby', 'alice')).toBe(false)
  })

  test('are listed by name while somebody is in them', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const session = (await one.connect()) as Session
    for (const room of ['c', 'a', 'b']) await one.join(session, room)
    expect(await two.directory.rooms(undefined, 2)).toEqual(['a', 'b'])
    expect(await two.directory.rooms('b', 2)).toEqual(['c'])
    expect(await two.directory.totals()).toEqual({ connections: 1, users: 1, rooms: 3 })
  })
})

describe('lists', () => {
  test('have every connection of every instance, oldest first, with its record and its rooms', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    const first = (await one.connect({ userId: 'alice', deviceId: 'phone', addressKey: 'a1' })) as Session
    const second = (await two.connect({ userId: 'bob', addressKey: 'a2' })) as Session
    const third = (await one.connect({ userId: 'alice', addressKey: 'a2' })) as Session
    await two.join(second, 'lobby')
    await one.join(third, 'lobby')
    const ids = async (lookup?: Lookup) => (await listed(two, lookup)).map(({ connectionId }) => connectionId)
    expect(await ids()).toEqual([first, second, third].map(({ connectionId }) => connectionId))
    expect(await ids({ userId: 'alice' })).toEqual([first.connectionId, third.connectionId])
    expect((await ids({ addressKey: 'a2' })).sort()).toEqual([second.connectionId, third.connectionId].sort())
    expect((await ids({ room: 'lobby' })).sort()).toEqual([second.connectionId, third.connectionId].sort())
    expect(await ids({ userId: 'nobody' })).toEqual([])
    const found = await two.directory.find(first.connectionId)
    expect(found).toMatchObject({ instance: one.name, userId: 'alice', deviceId: 'phone', rooms: [] })
    expect(found?.record).toMatchObject({ connection_id: first.connectionId, ip: 'a1', state: 'open', rooms: [] })
    expect((await two.directory.find(third.connectionId))?.record?.rooms).toEqual(['lobby'])
    expect(await two.directory.find('nobody')).toBeUndefined()
  })

  test('go over many pages', async () => {
    await using group = await processes(1)
    const [one] = group.all
    await Promise.all(Array.from({ length: 450 }, (_, n) => one.connect({ userId: `user${n}` })))
    const all = await listed(one)
    expect(new Set(all.map(({ connectionId }) => connectionId)).size).toBe(450)
    expect(all).toHaveLength(450)
  })

  test('have everybody of a big room, each once', async () => {
    await using group = await processes(1)
    const [one] = group.all
    const join = async (n: number) => one.join((await one.connect({ userId: `user${n % 400}` })) as Session, 'lobby')
    await Promise.all(Array.from({ length: 450 }, (_, n) => join(n)))
    const all = await listed(one, { room: 'lobby' })
    expect(new Set(all.map(({ connectionId }) => connectionId)).size).toBe(450)
    expect(all).toHaveLength(450)
  })

  test('name the instances that are alive', async () => {
    await using group = await processes(2)
    const [one, two] = group.all
    expect((await one.directory.instances()).toSorted()).toEqual([one.name, two.name].sort())
    await two[Symbol.asyncDispose]()
    expect(await one.directory.instances()).toEqual([one.name])
  })
})

describe('an instance that is gone', () => {
  test('is swept by the others: each of its users leaves once, limits and lists are right again', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    await using proxy = await FaultProxy.start(server.url)
    const gone = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    const kept = (await one.connect({ userId: 'user0', username: 'Nought' })) as Session
    await one.join(kept, 'lobby')
    for (let n = 0; n < 20; n++) {
      const session = (await gone.connect({ userId: `user${n % 10}`, username: `U${n % 10}` })) as Session
      await gone.join(session, 'lobby')
      await gone.join(session, `room${n}`)
      await one.watch(`room${n}`)
    }
    one.passages.length = 0
    proxy.set({ refuse: true })
    proxy.cut()
    await expire(prefix, gone.name)
    // 9 users leave the lobby, and 20 rooms lose their only user.
    await until(() => one.passages.length === 29)
    const { passages } = one
    const left = passages.filter(({ room }) => room === 'lobby')
    // user0 is still there by another connection.
    expect(left.map(({ userId }) => userId).sort()).toEqual(Array.from({ length: 9 }, (_, n) => `user${n + 1}`))
    expect(left.every(({ came, username, userId }) => !came && username === userId.replace('user', 'U'))).toBe(true)
    expect(passages.every(({ nodeLost }) => nodeLost)).toBe(true)
    expect(passages.filter(({ room }) => room !== 'lobby')).toHaveLength(20)
    expect(await one.directory.totals()).toEqual({ connections: 1, users: 1, rooms: 1 })
    // Each was told of once.
    expect([...one.lost, ...two.lost].sort()).toEqual([...gone.registry.sessions.keys()].sort())
    expect((await one.directory.instances()).includes(gone.name)).toBe(false)
    await until(async () => !(await keysLeft(prefix)).some((key) => key.includes(gone.name)))
    await gone[Symbol.asyncDispose]()
  }, 20_000)

  // Whoever is the first to find Redis again would see only leases that have run out.
  test('is not taken for dead where Redis was away for all', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    for (const each of all) await each.join((await each.connect({ userId: each.name })) as Session, 'lobby')
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(() => all.every(({ instance }) => instance.messages.failing === undefined))
    for (const { name } of all) await expire(prefix, name)
    for (const { name } of all) await until(async () => (await server.admin.exists(`${prefix}:1:l:${name}`)) === 1)
    await until(async () => (await listed(two)).length === 2)
    const passages = [...one.passages, ...two.passages]
    expect(passages.filter(({ nodeLost }) => nodeLost)).toEqual([])
  }, 20_000)

  test('and comes back brings its connections in again, under the limits, before it acts', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    await using proxy = await FaultProxy.start(server.url)
    await using away = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    const limits = limited({ perUser: 1 })
    const alice = (await away.connect({ userId: 'alice', limits })) as Session
    const bob = (await away.connect({ userId: 'bob', limits })) as Session
    await one.watch('lobby')
    for (const session of [alice, bob]) await away.join(session, 'lobby')
    await until(() => one.passages.length === 2)
    one.passages.length = 0
    proxy.set({ refuse: true })
    proxy.cut()
    await expire(prefix, away.name)
    await until(() => one.passages.length === 2)
    const newcomer = (await one.connect({ userId: 'bob', limits })) as Session
    expect(newcomer).toBeDefined()
    proxy.heal()
    await until(() => away.instance.messages.failing === undefined)
    await until(() => away.evicted.length > 0)
    expect(away.evicted).toEqual([{ connectionId: bob.connectionId, why: 'replaced' }])
    await until(() => one.passages.length === 3)
    expect(one.passages.map(({ userId, came, participants }) => [userId, came, participants]).slice(2)).toEqual([
      ['alice', true, 1],
    ])
    expect((await listed(one)).map(({ connectionId }) => connectionId).sort()).toEqual(
      [alice.connectionId, newcomer.connectionId].sort(),
    )
    expect(await one.attendances.participants('lobby', 10)).toEqual([{ id: 'alice', username: undefined }])
  }, 20_000)

  // An operator was told that it was disconnected, and it came back with its instance.
  test('and comes back does not bring in again a connection whose place was taken before it was given up', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    await using proxy = await FaultProxy.start(server.url)
    await using away = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    const taken = (await away.connect({ userId: 'alice' })) as Session
    const kept = (await away.connect({ userId: 'bob' })) as Session
    await one.watch('lobby')
    for (const session of [taken, kept]) await away.join(session, 'lobby')
    await until(() => one.passages.length === 2)
    one.passages.length = 0
    proxy.set({ refuse: true })
    proxy.cut()
    await one.directory.evict(taken.connectionId, 'ended_for_now')
    await expire(prefix, away.name)
    await until(() => one.passages.length === 2)
    expect(one.lost).toEqual([kept.connectionId])
    proxy.heal()
    await until(() => away.evicted.length > 0)
    expect(away.evicted).toEqual([{ connectionId: taken.connectionId, why: 'ended_for_now' }])
    await until(async () => (await one.directory.find(kept.connectionId)) !== undefined)
    await until(async () => (await server.admin.exists(`${prefix}:1:c:${taken.connectionId}`)) === 0)
    expect((await listed(one)).map(({ connectionId }) => connectionId)).toEqual([kept.connectionId])
  }, 20_000)

  test('gives out no place before it has brought its connections in again', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    const limits = limited({ perUser: 1 })
    const alice = (await one.connect({ limits })) as Session
    await one.join(alice, 'lobby')
    // As if it had been swept.
    const keys = await server.admin.keys(`${prefix}:1:*`)
    await server.admin.del(...keys.filter((key) => !key.endsWith(':log')))
    expect(await one.connect({ limits })).toBeUndefined()
    expect(one.evicted).toEqual([])
    expect(await one.directory.connectionsOf('alice')).toBe(1)
    expect(await one.attendances.count('lobby')).toBe(1)
  })

  test('does not bring in again a connection that has lost its place', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    const limits = limited({ perUser: 1, perUserPolicy: 'close_oldest' })
    const older = (await one.connect({ limits })) as Session
    const newer = (await two.connect({ limits })) as Session
    await server.admin.del(`${prefix}:1:l:${one.name}`)
    await one.connect({ userId: 'bob', limits })
    expect(one.evicted).toEqual([{ connectionId: older.connectionId, why: 'replaced' }])
    expect((await listed(one, { userId: 'alice' })).map(({ connectionId }) => connectionId)).toEqual([
      newer.connectionId,
    ])
  })

  test('brings in again what a connection has entered and cannot be reached in yet', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    await two.watch('lobby')
    const alice = (await one.connect({ userId: 'alice' })) as Session
    const members = await one.entered(alice, 'lobby')
    await server.admin.del(`${prefix}:1:l:${one.name}`, `${prefix}:1:d:lobby`)
    await server.admin.hdel(`${prefix}:1:c:${alice.connectionId}`, 'r:lobby')
    await one.connect({ userId: 'bob' })
    members.topic.subscribe(alice, 0)
    one.attendances.announce('lobby', alice)
    await until(() => two.passages.length === 1)
    expect(two.passages).toMatchObject([{ userId: 'alice', came: true, participants: 1 }])
  })

  // What Redis answered was taken for a place that others had: every connection of the instance was sent away.
  test('loses no connection where its lease is lost again while it brings them in', async () => {
    const prefix = newPrefix()
    await using proxy = await FaultProxy.start(server.url)
    await using one = await Process.open(proxy.url.replace('http', 'redis'), prefix, { leaseRenewMs: 100 })
    const alice = (await one.connect({ userId: 'alice' })) as Session
    const lease = `${prefix}:1:l:${one.name}`
    proxy.set({ delayMs: 100 })
    await server.admin.del(lease)
    // It is taken anew, and what was to be brought in under it is on its way.
    await until(async () => (await server.admin.exists(lease)) === 1)
    await expire(prefix, one.name)
    await server.admin.del(`${prefix}:1:c:${alice.connectionId}`)
    proxy.heal()
    await until(async () => (await one.directory.find(alice.connectionId).catch(() => undefined)) !== undefined)
    expect(one.evicted).toEqual([])
  })

  test('ends in an orderly way leaves nothing to sweep', async () => {
    await using group = await processes(2)
    const { all, prefix } = group
    const [one, two] = all
    const session = (await two.connect()) as Session
    await two.join(session, 'lobby')
    await two[Symbol.asyncDispose]()
    expect(await one.directory.totals()).toEqual({ connections: 0, users: 0, rooms: 0 })
    expect((await keysLeft(prefix)).some((key) => key.includes(two.name))).toBe(false)
  })
})

describe('the directory on a bad day', () => {
  test('is written anew after everything was lost', async () => {
    await using own = await RedisServer.start()
    await using group = await processes(2, own)
    const [one, two] = group.all
    const alice = (await one.connect({ userId: 'alice' })) as Session
    const bob = (await two.connect({ userId: 'bob' })) as Session
    await one.join(alice, 'lobby')
    await two.join(bob, 'lobby')
    await until(() => one.passages.length === 2)
    await own.admin.flushall()
    await until(async () => (await one.directory.totals()).connections === 2)
    await until(async () => (await one.attendances.count('lobby')) === 2)
    expect(await one.directory.connectionsIn('lobby')).toBe(2)
    expect((await one.directory.find(bob.connectionId))?.instance).toBe(two.name)
    // Nobody was told that they had gone: a cluster that tells of everybody's coming is a storm, and tells what is known.
    expect([one.passages.length, two.passages.length]).toEqual([2, 1])
  }, 15_000)

  test('is written anew where another run of Redis may lack some of it, though the lease is there', async () => {
    await using own = await RedisServer.start()
    const prefix = newPrefix()
    await using one = await Process.open(own.url, prefix, { leaseRenewMs: 20 })
    const alice = (await one.connect({ userId: 'alice' })) as Session
    await one.join(alice, 'lobby')
    await own.admin.del(`${prefix}:1:m:lobby`, `${prefix}:1:d:lobby`)
    await own.admin.hdel(`${prefix}:1:c:${alice.connectionId}`, 'r:lobby')
    await own.admin.hset(`${prefix}:1:log`, 'run', 'other')
    await own.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(async () => (await one.attendances.count('lobby').catch(() => -1)) === 1)
    expect(one.evicted).toEqual([])
  })

  test('takes goings later that it could not be told of, and says so then', async () => {
    await using own = await RedisServer.start({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    await using group = await processes(2, own)
    const [one, two] = group.all
    const alice = (await one.connect({ userId: 'alice' })) as Session
    const bob = (await one.connect({ userId: 'bob' })) as Session
    await two.join((await two.connect({ userId: 'carol' })) as Session, 'lobby')
    for (const session of [alice, bob]) await one.join(session, 'lobby')
    await until(() => two.passages.length === 3)
    await own.kill()
    await until(() => one.instance.messages.failing !== undefined)
    await one.leave(alice, 'lobby')
    one.end(bob)
    expect(await one.join(alice, 'other').catch((error) => error)).toMatchObject({ errorName: 'unavailable' })
    await own.run()
    await until(() => one.instance.messages.failing === undefined)
    await until(async () => (await two.attendances.count('lobby').catch(() => -1)) === 1)
    await until(async () => (await two.directory.totals()).connections === 2)
    await until(() => two.passages.length === 5)
    expect(
      two.passages
        .slice(3)
        .map(({ came, userId }) => [came, userId])
        .sort(),
    ).toEqual([
      [false, 'alice'],
      [false, 'bob'],
    ])
    expect(await two.directory.find(alice.connectionId)).toBeDefined()
  }, 20_000)

  test('a connection that it has forgotten is brought in again when it joins, and one that has ended is not', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    const kept = (await one.connect({ userId: 'alice' })) as Session
    const ended = (await one.connect({ userId: 'bob' })) as Session
    for (const { connectionId } of [kept, ended]) await server.admin.del(`${prefix}:1:c:${connectionId}`)
    one.end(ended)
    expect(await one.join(kept, 'lobby')).toBe(1)
    expect(await one.join(ended, 'lobby').catch((error) => error)).toMatchObject({ errorName: 'unavailable' })
    expect((await one.directory.find(kept.connectionId))?.rooms).toEqual(['lobby'])
  })

  test('a connection that Redis has evicted is brought in again when it is written down, and is not sent away', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    const limits = limited({ perUser: 1 })
    const alice = (await one.connect({ limits })) as Session
    await one.join(alice, 'lobby')
    await server.admin.del(`${prefix}:1:c:${alice.connectionId}`)
    expect(await one.directory.list(alice)).toBeUndefined()
    expect(await one.directory.find(alice.connectionId)).toMatchObject({ instance: one.name, rooms: ['lobby'] })
    expect(one.evicted).toEqual([])
  })

  test('what failed half-way is put right: connections that are missing, and some that are gone', async () => {
    const prefix = newPrefix()
    await using one = await Process.open(server.url, prefix, { leaseRenewMs: 20 })
    const missing = (await one.connect({ userId: 'alice' })) as Session
    await one.connect({ userId: 'bob' })
    const tooMany = (await one.connect({ userId: 'carol' })) as Session
    await one.join(tooMany, 'lobby')
    const { connectionId } = missing
    // The place is known here alone, and one is known in Redis alone.
    await server.admin.del(`${prefix}:1:c:${connectionId}`)
    await server.admin.srem(`${prefix}:1:o:${one.name}`, connectionId)
    await until(async () => (await one.directory.find(connectionId)) !== undefined)
    await server.admin.sadd(`${prefix}:1:o:${one.name}`, 'ghost')
    await until(async () => (await server.admin.sismember(`${prefix}:1:o:${one.name}`, 'ghost')) === 0)
    expect(await one.directory.totals()).toEqual({ connections: 3, users: 3, rooms: 1 })
    expect(one.evicted).toEqual([])
  })

  test('places of connections that Redis has evicted are free', async () => {
    await using group = await processes(1)
    const { all, prefix } = group
    const [one] = all
    const limits = limited({ perUser: 2, perAddress: 2 })
    for (let n = 0; n < 2; n++) {
      const session = (await one.connect({ limits })) as Session
      await server.admin.del(`${prefix}:1:c:${session.connectionId}`)
    }
    expect(await one.connect({ limits })).toBeDefined()
    expect(await one.directory.connectionsOf('alice')).toBe(1)
  })

  test('an answer that was lost does not take a second place', async () => {
    await using proxy = await FaultProxy.start(server.url)
    const prefix = newPrefix()
    await using one = await Process.open(proxy.url.replace('http', 'redis'), prefix)
    const limits = limited({ perUser: 1 })
    for (let n = 0; n < 5; n++) {
      proxy.dropReplyTo(new RegExp(`evalsha[\\s\\S]*user${n}`))
      await one.connect({ userId: `user${n}`, limits }).catch(() => {})
      await until(() => one.instance.messages.failing === undefined)
      await until(async () => (await one.directory.connectionsOf(`user${n}`).catch(() => -1)) === 0)
      expect(await one.connect({ userId: `user${n}`, limits })).toBeDefined()
    }
  }, 20_000)
})
