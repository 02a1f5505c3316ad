/** What holds over all instances that share a Redis, beyond the contracts that hold for one as well. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Bus } from '../../src/core/ports/bus.ts'
import { RefusedError, startTestServer, type TestClient, type TestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { type Cluster, startCluster } from '../contracts/cluster.ts'
import { ADMIN_KEY, ask, refused, told } from '../http/api.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { names } from '../support/names.ts'
import { payloadOf, types } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const CONFIG = {
  admin: { keys: [ADMIN_KEY] },
  limits: { per_user: 0 },
  rooms: [{ pattern: 'kept.*', history: { max_messages: 100 } }],
} as const

let cluster: Cluster
let one: TestServer
let two: TestServer

beforeAll(async () => {
  cluster = await startCluster({ instances: 2, config: CONFIG, app: () => tidings() })
  ;[one, two] = cluster.servers as [TestServer, TestServer]
})
afterAll(() => cluster[Symbol.asyncDispose]())

const idOf = (client: TestClient) => String(payloadOf(client.welcome)['connection_id'])

/** A cluster of a test's own, on the same Redis. */
const apart = (prefix: string, config: Parameters<typeof startCluster>[0] = {}) =>
  startCluster({ instances: 2, redis: cluster.redis, ...config, config: { ...config.config, redis: { prefix } } })

async function limitOf(connecting: Promise<unknown>): Promise<string | undefined> {
  const error = await connecting.then(
    () => undefined,
    (thrown) => thrown,
  )
  return error instanceof RefusedError ? error.error?.message : undefined
}

describe('a client that comes back with ?resume=', () => {
  test('finds its rooms and metadata at another instance, which takes the old connection over', async () => {
    const { alice, bob, lobby } = names()
    const room = `kept.${lobby}`
    await using watcher = await two.connect({ user: bob, rooms: [room] })
    const former = await one.connect({ user: alice, device: 'd', rooms: [room], meta: { theme: 'dark' } })
    await watcher.next('user_joined_room')
    await using again = await two.connect({ user: alice, device: 'd', query: { resume: idOf(former) } })
    expect(await former.closed).toEqual({ code: 4009, reason: 'connection_limit' })
    expect(again.welcome.payload).toMatchObject({ rooms: [{ room, participant_count: 2 }], resume: { session: true } })
    // For the others nobody has left, and nobody came.
    expect(types(await watcher.received())).toEqual([])
    await until(async () => (await one.hub.backend.directory.connectionsIn(room)) === 2)
    await again.close()
    expect(await watcher.next()).toMatchObject({ type: 'user_left_room', payload: { participant_count: 1 } })
  })

  test('after it was lost finds what its old instance has kept, and what it has missed', async () => {
    const { alice, lobby } = names()
    const room = `kept.${lobby}`
    const former = await one.connect({ user: alice, device: 'd', rooms: [room] })
    const { cursor } = await two.app.publish({ room }, 'chat', 'before')
    await former.next('chat')
    const session = one.hub.registry.get(idOf(former))
    if (session !== undefined) one.hub.close(session, 1011, 'lost')
    await former.closed
    await one.app.publish({ room }, 'chat', 'while away')
    const query = { resume: idOf(former), cursor: cursor ?? '' }
    await using again = await two.connect({ user: alice, device: 'd', query })
    expect(again.welcome.payload).toMatchObject({ resume: { session: true, recovered: true, replayed: 1 } })
    expect(await again.next('chat')).toMatchObject({ payload: 'while away' })
  })

  test('finds what it had though its instance is dead, and was given up', async () => {
    const { alice, lobby } = names()
    await using proxy = await FaultProxy.start(cluster.redis.url)
    const config = { ...CONFIG, redis: { prefix: lobby } }
    await using dead = await startCluster({
      instances: 1,
      config: { ...config, redis: { prefix: lobby, url: proxy.url.replace('http', 'redis') } },
      redis: cluster.redis,
    })
    await using alive = await startCluster({ instances: 1, config, redis: cluster.redis })
    const [gone, other] = [dead, alive].map(({ servers }) => servers[0]) as [TestServer, TestServer]
    await using former = await gone.connect({ user: alice, device: 'd', rooms: [lobby], meta: { theme: 'dark' } })
    const { directory } = other.hub.backend
    await until(async () => (await directory.find(idOf(former)))?.record !== undefined)
    proxy.set({ refuse: true })
    proxy.cut()
    const instance = gone.hub.peers.here ?? ''
    await cluster.redis.admin.del(`${lobby}:1:l:${instance}`)
    await cluster.redis.admin.zadd(`${lobby}:1:instances`, 'XX', 1, instance)
    await until(async () => (await directory.find(idOf(former))) === undefined)
    await using again = await other.connect({ user: alice, device: 'd', query: { resume: idOf(former) } })
    expect(again.welcome.payload).toMatchObject({ rooms: [{ room: lobby }], resume: { session: true } })
    expect((await again.request({ type: 'who_am_i' })).payload).toMatchObject({ metadata: { theme: 'dark' } })
  })

  test('gets nothing of another user’s or device’s connection', async () => {
    const { alice, bob, lobby } = names()
    await using former = await one.connect({ user: alice, device: 'd', rooms: [lobby] })
    for (const who of [
      { user: bob, device: 'd' },
      { user: alice, device: 'other' },
    ]) {
      await using thief = await two.connect({ ...who, query: { resume: idOf(former) } })
      expect(thief.welcome.payload).toMatchObject({ rooms: [], resume: { session: false } })
    }
    expect((await former.request({ type: 'ping' })).type).toBe('pong')
  })

  test('takes its own place though the limit is reached', async () => {
    const { alice, lobby } = names()
    await using limited = await apart(lobby, { config: { limits: { per_user: 1 } } })
    const [first, second] = limited.servers as [TestServer, TestServer]
    const former = await first.connect({ user: alice, device: 'd' })
    await using again = await second.connect({ user: alice, device: 'd', query: { resume: idOf(former) } })
    expect(await former.closed).toMatchObject({ code: 4009 })
    expect(await limitOf(first.connect({ user: alice, device: 'e' }))).toBe('Max connections exceeded')
    expect((await again.request({ type: 'ping' })).type).toBe('pong')
  })
})

describe('the limits', () => {
  test('of a user hold over all instances; who is there answers for itself', async () => {
    const { alice, lobby } = names()
    await using limited = await apart(lobby, { config: { limits: { per_user: 2 } } })
    const [first, second] = limited.servers as [TestServer, TestServer]
    await using here = await first.connect({ user: alice })
    await using there = await second.connect({ user: alice })
    for (const server of [first, second]) {
      expect(await limitOf(server.connect({ user: alice }))).toBe('Max connections exceeded')
    }
    await here.close()
    await until(async () => (await second.hub.backend.directory.connectionsOf(alice)) === 1)
    await using next = await second.connect({ user: alice })
    for (const client of [there, next]) expect((await client.request({ type: 'ping' })).type).toBe('pong')
  })

  test('close the oldest where the policy says so, at whichever instance it is', async () => {
    const { alice, lobby } = names()
    const config = { limits: { per_user: 1, per_user_policy: 'close_oldest' } } as const
    await using limited = await apart(lobby, { config })
    const [first, second] = limited.servers as [TestServer, TestServer]
    const oldest = await first.connect({ user: alice })
    await using newest = await second.connect({ user: alice })
    expect(await oldest.next('error')).toMatchObject({ payload: { code: 'RT_007', reconnect: false } })
    expect(await oldest.closed).toEqual({ code: 4009, reason: 'connection_limit' })
    expect((await newest.request({ type: 'ping' })).type).toBe('pong')
  })

  test('of everybody hold over all instances', async () => {
    const { alice, bob, carol, lobby } = names()
    await using limited = await apart(lobby, { config: { limits: { total_cluster: 2, per_user: 0 } } })
    const [first, second] = limited.servers as [TestServer, TestServer]
    await using here = await first.connect({ user: alice })
    await using there = await second.connect({ user: bob })
    expect(await limitOf(first.connect({ user: carol }))).toBe('The server is full')
    for (const client of [here, there]) expect((await client.request({ type: 'ping' })).type).toBe('pong')
  })
})

describe('an event that wants answers', () => {
  test('gets those of clients of every instance', async () => {
    const { alice, bob, lobby } = names()
    await using here = await one.connect({ user: alice, rooms: [lobby] })
    await using there = await two.connect({ user: bob, rooms: [lobby] })
    const asking = told(one.url, 'POST', '/realtime/publish', {
      body: { to: { room: lobby }, type: 'question', ack: { timeout_ms: 5000 } },
    })
    for (const client of [here, there]) {
      const { ack_id } = await client.next('question')
      client.send({ type: 'ack', payload: { correlation_id: ack_id, result: idOf(client) } })
    }
    const { body } = await asking
    expect(body).toMatchObject({ online: 2, missing: 0 })
    const { acks } = body as { acks: { connection_id: string; result: string }[] }
    expect(acks.map(({ connection_id, result }) => [connection_id, result]).sort()).toEqual(
      [here, there].map((client) => [idOf(client), idOf(client)]).sort(),
    )
  })

  test('gets the bytes of an answer as bytes, from whichever instance', async () => {
    const { alice } = names()
    for (const server of [one, two]) {
      await using client = await server.connect({ user: alice, format: 'msgpack' })
      const asking = one.app.emitWithAck({ user_id: alice }, 'question', null, { timeoutMs: 5000 })
      const { ack_id } = await client.next('question')
      client.send({ type: 'ack', payload: { correlation_id: ack_id, result: { key: new Uint8Array([1, 2]) } } })
      const [answer] = (await asking).answers
      const { key } = (answer?.result ?? {}) as { key?: unknown }
      expect(key instanceof Uint8Array && [...key]).toEqual([1, 2])
      await client.close()
      await until(async () => (await one.hub.backend.directory.connectionsOf(alice)) === 0)
    }
  })

  // The other instance asked again, in vain, and said that everybody's answer was missing.
  test('is asked once for each key, whichever instance is tried', async () => {
    const { alice } = names()
    await using client = await two.connect({ user: alice })
    const body = { to: { user_id: alice }, type: 'question', ack: { timeout_ms: 5000 }, idempotency_key: alice }
    const ask = async (server: TestServer) => (await told(server.url, 'POST', '/realtime/publish', { body })).body
    const asking = [ask(one), ask(two)]
    const { ack_id } = await client.next('question')
    client.send({ type: 'ack', payload: { correlation_id: ack_id, result: 'yes' } })
    const [first, ...again] = [...(await Promise.all(asking)), await ask(one), await ask(two)]
    expect(first).toMatchObject({ online: 1, missing: 0, acks: [{ connection_id: idOf(client), result: 'yes' }] })
    for (const answer of again) expect(answer).toEqual(first)
    expect(types(await client.received())).toEqual([])
  })

  test('counts who has not answered', async () => {
    const { alice } = names()
    await using client = await two.connect({ user: alice })
    const { body } = await told(one.url, 'POST', '/realtime/publish', {
      body: { to: { user_id: alice }, type: 'question', ack: { timeout_ms: 200 } },
    })
    expect(body).toMatchObject({ online: 1, missing: 1, acks: [] })
    expect((await client.next('question')).ack_id).toEqual(expect.any(String))
  })
})

describe('an operator', () => {
  test('disconnects a connection of another instance', async () => {
    const { alice } = names()
    const client = await two.connect({ user: alice })
    expect(await told(one.url, 'DELETE', `/realtime/connections/${idOf(client)}`)).toEqual({
      status: 200,
      body: { disconnected: 1 },
    })
    expect(await client.closed).toEqual({ code: 4003, reason: 'disconnected' })
  })

  test('hears that an instance does not answer, which ends the connections when it is back', async () => {
    const { alice, bob } = names()
    await using toRedis = await FaultProxy.start(cluster.redis.url)
    const redis = { url: toRedis.url.replace('http', 'redis') }
    await using cut = await startTestServer({ config: { ...CONFIG, redis } })
    await using client = await cut.connect({ user: alice })
    await using other = await cut.connect({ user: bob })
    toRedis.set({ refuse: true })
    toRedis.cut()
    const end = () => refused(one.url, 'POST', `/realtime/users/${alice}/disconnect?reconnect=true`, {})
    expect(await end()).toMatchObject({
      status: 503,
      error: { code: 'RT_009', error_code: 'unavailable', reconnect: true, retry_after_ms: 5000 },
    })
    expect(await told(one.url, 'GET', `/realtime/users/${alice}`)).toMatchObject({ body: { connections: 0 } })
    toRedis.heal()
    expect(await client.next('error')).toMatchObject({ payload: { error_code: 'disconnected', reconnect: true } })
    expect(await client.closed).toEqual({ code: 4003, reason: 'disconnected' })
    expect((await other.request({ type: 'ping' })).type).toBe('pong')
  })

  test('has a part of an instance’s connections go elsewhere, and it keeps serving', async () => {
    const { lobby } = names()
    await using shedding = await apart(lobby, { config: { ...CONFIG, drain: { window_ms: 0 } } })
    const [first, second] = shedding.servers as [TestServer, TestServer]
    const clients = await Promise.all(Array.from({ length: 8 }, (_, n) => second.connect({ user: `u${n}` })))
    const instance = second.hub.peers.here
    expect(await told(first.url, 'POST', '/realtime/drain', { body: { fraction: 0.5, instance } })).toEqual({
      status: 200,
      body: { instance, disconnected: 4 },
    })
    await until(() => second.hub.registry.size === 4)
    const ended = clients.filter((client) => second.hub.registry.get(idOf(client)) === undefined)
    for (const client of ended) {
      expect(await client.next('server_draining')).toMatchObject({
        payload: { reason: 'rebalance', reconnect_after_ms: expect.any(Number) },
      })
      expect(await client.closed).toMatchObject({ code: 1012 })
    }
    await using newcomer = await second.connect({ user: 'newcomer' })
    expect((await newcomer.request({ type: 'ping' })).type).toBe('pong')
    expect(await told(first.url, 'GET', '/readyz')).toMatchObject({ status: 200 })
  })

  test('is told of an instance that does not answer', async () => {
    const { lobby } = names()
    await using quiet = await apart(lobby, { config: { admin: CONFIG.admin } })
    const [first, second] = quiet.servers as [TestServer, TestServer]
    second.hub.peers.answer('errand', () => new Promise(() => {}))
    const body = { fraction: 0.5, instance: second.hub.peers.here }
    expect(await told(first.url, 'POST', '/realtime/drain', { body })).toMatchObject({
      status: 503,
      body: { error: { code: 'RT_009', error_code: 'unavailable', reconnect: true } },
    })
  })

  test('is told of an instance that is not there, and of a part that is none', async () => {
    const drain = async (body: object) => (await told(one.url, 'POST', '/realtime/drain', { body })).status
    expect(await drain({ fraction: 0.5, instance: 'nobody' })).toBe(404)
    for (const fraction of [0, -1, 1.5, 'half', null]) expect(await drain({ fraction })).toBe(400)
  })
})

test('a ticket of one instance opens a session at another, and is good for no second', async () => {
  const { alice } = names()
  const token = await one.token({ user: alice })
  const response = await fetch(`${one.url}/realtime/ticket`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  const { ticket } = (await response.json()) as { ticket: string }
  const enter = (server: TestServer) => fetch(`${server.url}/realtime/poll?ticket=${ticket}`)
  expect((await enter(two)).status).toBe(200)
  const webSocket = await fetch(`${one.url}/realtime?ticket=${ticket}`, {
    headers: {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  })
  expect(webSocket.status).toBe(401)
})

test('the cookie that is configured names the instance that has the session', async () => {
  const { alice, lobby } = names()
  await using sticky = await apart(lobby, { config: { cluster: { sticky_cookie: 'tidings_at' } } })
  const [first, second] = sticky.servers as [TestServer, TestServer]
  const token = await first.token({ user: alice })
  const cookieOf = async (server: TestServer, path: string, headers: Record<string, string> = {}) => {
    const abort = new AbortController()
    const response = await fetch(`${server.url}${path}`, { headers, signal: abort.signal })
    const cookie = response.headers.get('set-cookie')
    const body = path.startsWith('/realtime/poll') ? ((await response.json()) as { connection_id: string }) : undefined
    abort.abort()
    return { cookie, id: body?.connection_id ?? '' }
  }
  const at = (server: TestServer) => `tidings_at=${server.hub.peers.here}; Path=/; HttpOnly; SameSite=Lax`
  const stream = await cookieOf(first, `/realtime/sse?token=${token}`, { 'x-forwarded-proto': 'https' })
  expect(stream.cookie).toBe(at(first).replace('Lax', 'None; Secure'))
  const poll = await cookieOf(second, `/realtime/poll?token=${token}`)
  expect(poll.cookie).toBe(at(second))
  // A poll that is handed on names the home.
  const handedOn = await cookieOf(first, `/realtime/poll?token=${token}&timeout=0&connection_id=${poll.id}`)
  expect(handedOn).toEqual({ cookie: at(second), id: poll.id })
  const plain = await fetch(`${one.url}/realtime/poll?token=${token}`)
  expect(plain.headers.has('set-cookie')).toBe(false)
})

test('who may have missed something after a failover is told so, in its place', async () => {
  const { alice, lobby } = names()
  const room = `kept.${lobby}`
  await using client = await one.connect({ user: alice, rooms: [room] })
  const { cursor } = await two.app.publish({ room }, 'chat', 1)
  await client.next('chat')
  const at = Number(cursor)
  one.hub.line.pushGap({ topics: [`room:${room}`], from: at, to: at + 1 })
  one.hub.line.pushGap({ topics: undefined, from: at, to: at + 1 })
  expect(await client.next('gap')).toMatchObject({
    cursor: expect.any(String),
    payload: { rooms: [room], from: cursor },
  })
  expect((await client.next('gap')).payload).toEqual({ from: cursor, cursor: expect.any(String) })
})

// An instance without a member of a room knew up to two seconds later that something had been stored there.
test('the history of a room has what was acknowledged, whichever instance is asked', async () => {
  const { lobby } = names()
  const room = `kept.${lobby}`
  const newest: unknown[] = []
  for (let n = 0; n < 5; n++) {
    await one.app.publish({ room }, 'chat', n)
    const { body } = await ask(two.url, 'GET', `/realtime/rooms/${room}/history`)
    newest.push((body as { items: { payload: unknown }[] }).items.at(-1)?.payload)
  }
  expect(newest).toEqual([0, 1, 2, 3, 4])
})

// It is a member by any of its user's connections, and the load balancer does not know by which instance that is.
test('who sends without a connection is a member by one of another instance', async () => {
  const { alice, bob, carol, lobby } = names()
  await using member = await one.connect({ user: alice, rooms: [lobby] })
  await using other = await one.connect({ user: bob, rooms: [lobby] })
  const send = async (user: string) => {
    const token = await two.token({ user })
    const body = { type: 'chat', id: 'c', to: { room: lobby }, payload: user }
    return told(two.url, 'POST', `/realtime/send?token=${token}`, { token: null, body })
  }
  expect(await send(carol)).toMatchObject({ status: 403, body: { error: { code: 'RT_003' } } })
  expect(await send(alice)).toMatchObject({ status: 200, body: { type: 'ack', payload: { online: 2 } } })
  expect(await other.next('chat')).toMatchObject({ payload: alice, sender: { user_id: alice } })
  expect(types(await member.received())).toContain('chat')
})

// What the others are told of a member is under way when its client is answered, and may be overtaken.
test('a client that was let into a room is a member at every instance at once', async () => {
  const { alice, lobby } = names()
  const { attendances } = one.hub.backend
  const { announce } = attendances
  attendances.announce = () => {}
  try {
    await using client = await one.connect({ user: alice })
    await client.request({ type: 'join_room', payload: { room: lobby } })
    const body = { type: 'chat', id: 'c', to: { room: lobby } }
    const path = `/realtime/send?token=${await two.token({ user: alice })}`
    expect(await told(two.url, 'POST', path, { token: null, body })).toMatchObject({ status: 200 })
    expect(await told(two.url, 'GET', `/realtime/rooms/${lobby}`)).toMatchObject({ status: 200 })
    expect(await told(two.url, 'GET', `/realtime/connections?room=${lobby}`)).toMatchObject({
      body: { items: [{ user_id: alice, rooms: [lobby] }] },
    })
  } finally {
    attendances.announce = announce
  }
})

// It was in no list, not to be found, and its user not online, until what it is like was written down after `welcome`.
test('a connection is known at every instance as soon as its client is', async () => {
  const { alice, lobby } = names()
  const { directory } = one.hub.backend
  const { list } = directory
  directory.list = () => new Promise(() => {})
  try {
    await using client = await one.connect({
      user: alice,
      device: 'd',
      name: 'Alice',
      transport: 'sse',
      rooms: [lobby],
    })
    const get = async (path: string) => (await told(two.url, 'GET', path)).body
    const record = { connection_id: idOf(client), user_id: alice, device_id: 'd', username: 'Alice', transport: 'sse' }
    const listed = { ...record, rooms: [lobby] }
    expect(await get(`/realtime/connections/${idOf(client)}`)).toMatchObject(listed)
    expect(await get(`/realtime/connections?user_id=${alice}&transport=sse`)).toMatchObject({ items: [listed] })
    expect(await get(`/realtime/users/${alice}`)).toMatchObject({ online: true, connections: 1 })
    const path = `/realtime/connections?user_id=${alice}&ip=127.0.0.1&transport=sse`
    expect(await told(two.url, 'DELETE', path)).toEqual({ status: 200, body: { disconnected: 1 } })
  } finally {
    directory.list = list
  }
})

// The answer came first, and a look by another instance found the name of the old token.
test('a new token is answered when what it says is known at every instance', async () => {
  const { alice } = names()
  await using client = await one.connect({ user: alice, name: 'Old' })
  const { directory } = one.hub.backend
  const { list } = directory
  const writing = Promise.withResolvers<void>()
  const mayWrite = Promise.withResolvers<void>()
  directory.list = async (session) => {
    writing.resolve()
    await mayWrite.promise
    return list.call(directory, session)
  }
  try {
    const token = await one.token({ user: alice, name: 'New' })
    client.send({ type: 'refresh_token', id: 'r', payload: { token } })
    await writing.promise
    await one.app.publish({ user_id: alice }, 'meanwhile', null)
    expect((await client.next()).type).toBe('meanwhile')
    mayWrite.resolve()
    expect((await client.next()).type).toBe('ack')
  } finally {
    directory.list = list
  }
  expect(await told(two.url, 'GET', `/realtime/connections/${idOf(client)}`)).toMatchObject({
    body: { username: 'New' },
  })
})

describe('what a device has acknowledged', () => {
  const explicit = (user: string, query: Record<string, string> = {}) => ({
    user,
    device: 'd',
    query: { ack: 'explicit', ...query },
  })

  test('is answered when it counts at every instance', async () => {
    const { alice } = names()
    await using client = await one.connect(explicit(alice))
    const { cursor } = await one.app.publish({ user_id: alice }, 'chat', null)
    await client.next('chat')
    const { log } = one.hub.backend
    const { settle } = log
    const settling = Promise.withResolvers<void>()
    const mayWrite = Promise.withResolvers<void>()
    log.settle = async (userId, deviceId) => {
      settling.resolve()
      await mayWrite.promise
      await settle?.call(log, userId, deviceId)
    }
    try {
      client.send({ type: 'ack', id: 'a', payload: { cursor } })
      await settling.promise
      await one.app.publish({ user_id: alice }, 'meanwhile', null)
      expect((await client.next()).type).toBe('meanwhile')
      mayWrite.resolve()
      expect(await client.next()).toMatchObject({ type: 'ack', correlation_id: 'a' })
    } finally {
      if (settle !== undefined) log.settle = settle
    }
    expect(await told(two.url, 'GET', `/realtime/users/${alice}`)).toMatchObject({ body: { pending: 1 } })
  })

  // It was gathered for up to 200 ms, and came again.
  test('does not come again, whichever instance the device comes back by at once', async () => {
    for (const comesBack of ['after it was closed', 'by taking the other over']) {
      for (let n = 0; n < 5; n++) {
        const { alice } = names()
        const former = await one.connect(explicit(alice))
        const { cursor } = await one.app.publish({ user_id: alice }, 'chat', null)
        await former.next('chat')
        former.send({ type: 'ack', payload: { cursor } })
        if (comesBack === 'after it was closed') await former.close()
        else await former.request({ type: 'ping' })
        const resume = comesBack === 'after it was closed' ? {} : { resume: idOf(former) }
        await using again = await two.connect(explicit(alice, resume))
        expect(types(await again.received())).toEqual([])
      }
    }
  })
})

// An instance that had heard of the other one's answered a retry with that one's id.
test('of two who publish a key at the same time one is the first, for whoever asks again', async () => {
  const { alice, lobby } = names()
  await using three = await apart(lobby, { instances: 3, config: { admin: CONFIG.admin } })
  const [first, second, third] = three.servers as [TestServer, TestServer, TestServer]
  await using client = await third.connect({ user: alice })
  const bus = first.hub.backend.bus as Bus
  const { publish } = bus
  // Both were published before either was heard: one is on its way still.
  bus.publish = () => {}
  const body = { to: { user_id: alice }, type: 'once', ephemeral: true, idempotency_key: 'k' }
  const ids: unknown[] = []
  for (const { url } of [first, second, third])
    ids.push(((await told(url, 'POST', '/realtime/publish', { body })).body as { id: unknown }).id)
  bus.publish = publish
  expect(new Set(ids).size).toBe(1)
  expect(types(await client.received())).toEqual(['once'])
})

// It was told to be connecting still, and of the metadata that it had come back for nothing was told.
test('a connection is written down as open, with all that it has, before its client hears of it', async () => {
  const { alice, lobby } = names()
  const former = await one.connect({ user: alice, device: 'd', meta: { theme: 'dark' } })
  const { directory } = two.hub.backend
  const { list } = directory
  const before: number[] = []
  directory.list = (session) => {
    before.push(session.framesSent)
    return list.call(directory, session)
  }
  try {
    await using again = await two.connect({ user: alice, device: 'd', rooms: [lobby], query: { resume: idOf(former) } })
    expect(before).toEqual([0])
    const record = { state: 'open', rooms: [lobby], metadata: { theme: 'dark' } }
    expect(await told(one.url, 'GET', `/realtime/connections/${idOf(again)}`)).toMatchObject({ body: record })
  } finally {
    directory.list = list
  }
})

// Whoever waited for the answers of all members waited in vain for theirs.
test('who stays in a room without a connection does not count as one that a message is for', async () => {
  const { alice, bob, lobby } = names()
  await using lenient = await apart(lobby, { config: { presence: { grace_ms: 60_000 }, limits: { per_user: 0 } } })
  const [first, second] = lenient.servers as [TestServer, TestServer]
  await using member = await first.connect({ user: bob, rooms: [lobby] })
  const lost = await second.connect({ user: alice, rooms: [lobby] })
  const session = second.hub.registry.get(idOf(lost))
  const { directory, attendances } = first.hub.backend
  expect(await directory.connectionsIn(lobby)).toBe(2)
  if (session !== undefined) second.hub.close(session, 1011, 'lost')
  await until(async () => (await directory.connectionsOf(alice)) === 0)
  expect(await directory.connectionsIn(lobby)).toBe(1)
  expect(await attendances.count(lobby)).toBe(2)
  second.hub.rooms.settle(idOf(lost))
  expect(await member.next('user_left_room')).toMatchObject({ payload: { participant_count: 1 } })
  expect(await directory.connectionsIn(lobby)).toBe(1)
})

// Writing it down threw in the middle of the connection's end: it was counted for ever, and its socket stayed open.
test('a connection ends though its metadata cannot be written down', async () => {
  const { alice, lobby } = names()
  const app = () => tidings().onConnect(({ metadata }) => metadata({ count: 1n }))
  await using odd = await apart(lobby, { instances: 1, app })
  const [server] = odd.servers as [TestServer]
  const client = await server.connect({ user: alice })
  const session = server.hub.registry.get(idOf(client))
  if (session !== undefined) server.hub.close(session, 1011, 'lost')
  expect(await client.closed).toMatchObject({ code: 1011 })
  expect(server.hub.registry.size).toBe(0)
  await until(async () => (await server.hub.backend.directory.connectionsOf(alice)) === 0)
})
