/** A revocation holds on every instance: on those that are told, that start later, that missed it, and after Redis lost it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { Scopes, WHENEVER } from '../../src/core/revocation.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { type Cluster, startCluster } from '../contracts/cluster.ts'
import { ADMIN_KEY, refused, told } from '../http/api.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { names } from '../support/names.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const CONFIG = { admin: { keys: [ADMIN_KEY] }, limits: { per_user: 0 } } as const

let cluster: Cluster
let one: TestServer
let two: TestServer

beforeAll(async () => {
  cluster = await startCluster({ instances: 2, config: CONFIG })
  ;[one, two] = cluster.servers as [TestServer, TestServer]
})
afterAll(() => cluster[Symbol.asyncDispose]())

const nowS = () => Math.floor(Date.now() / 1000)
const revoke = (server: TestServer, body: object) => told(server.url, 'POST', '/realtime/tokens/revoke', { body })
const meAt = async (server: TestServer, claims: Record<string, unknown>, user = 'alice') =>
  (await told(server.url, 'GET', '/realtime/me', { token: await server.token({ user, claims }) })).status

test('connections of every instance are ended before the answer, and counted', async () => {
  const { alice, bob, lobby } = names()
  const clients = [
    await one.connect({ user: alice }),
    await two.connect({ user: alice }),
    await two.connect({ user: alice }),
  ]
  await using other = await two.connect({ user: bob, rooms: [lobby] })
  expect(await revoke(one, { user_id: alice, issued_before: nowS() + 2 })).toEqual({
    status: 200,
    body: { disconnected: 3 },
  })
  for (const server of [one, two]) expect([...server.hub.registry.byUser.get(alice)]).toEqual([])
  for (const client of clients) expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
  for (const server of [one, two]) expect(await meAt(server, {}, alice)).toBe(401)
  expect((await other.request({ type: 'ping' })).type).toBe('pong')
})

test('a ticket of one instance is refused at another', async () => {
  const { alice } = names()
  const claims = { jti: alice }
  const token = await one.token({ user: alice, claims })
  const { body } = await told(one.url, 'POST', '/realtime/ticket', { token })
  const { ticket } = body as { ticket: string }
  expect(await revoke(one, claims)).toMatchObject({ status: 200 })
  expect(await refused(two.url, 'GET', `/realtime/poll?ticket=${ticket}`, { token: null })).toMatchObject({
    status: 401,
    error: { error_code: 'token_revoked' },
  })
})

test('an instance that starts later knows it', async () => {
  const { alice: jti } = names()
  await revoke(one, { jti })
  await using late = await startTestServer({ config: { ...CONFIG, redis: { url: cluster.redis.url } } })
  expect(await meAt(late, { jti })).toBe(401)
})

test('an instance that was not told of it finds it, and ends the connection', async () => {
  const { alice } = names()
  const claims = { jti: alice }
  await using client = await two.connect({ user: alice, claims })
  // As where its bus was down at that moment.
  const revocation = { scope: Scopes.token(alice), issuedBefore: WHENEVER, until: Date.now() + 60_000 }
  await one.hub.backend.revocations.add(revocation)
  expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
  expect(await meAt(two, claims)).toBe(401)
})

test('an instance that was cut off lets nobody in before it knows what was revoked meanwhile', async () => {
  await using toRedis = await FaultProxy.start(cluster.redis.url)
  const redis = { url: toRedis.url.replace('http', 'redis') }
  await using cut = await startTestServer({ config: { ...CONFIG, redis } })
  const { alice } = names()
  const claims = { jti: alice }
  const token = await cut.token({ user: alice, claims })
  await using client = await cut.connect({ user: alice, claims })
  toRedis.set({ blackHole: 'both' })
  await cut.logged('revocations_unread')
  // As where it is counted as gone: nobody waits for its answer.
  const revocation = { scope: Scopes.token(alice), issuedBefore: WHENEVER, until: Date.now() + 60_000 }
  await one.hub.backend.revocations.add(revocation)
  toRedis.heal()
  const answers = new Set<number>()
  await until(async () => {
    const { status } = await told(cut.url, 'GET', '/realtime/poll', { token })
    answers.add(status)
    return status === 200 || status === 401
  })
  answers.delete(503)
  expect([...answers]).toEqual([401])
  expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
})

test('a Redis that has lost them is given them back by who knows them', async () => {
  const { alice: jti } = names()
  await revoke(one, { jti })
  await cluster.redis.admin.del('tidings:1:revoked')
  const scopes = async () => (await two.hub.backend.revocations.all())?.revocations.map(({ scope }) => scope)
  await until(async () => (await scopes())?.includes(Scopes.token(jti)) === true)
  expect(await meAt(two, { jti })).toBe(401)
})

test('that an instance does not answer is said; it is revoked all the same, and can be asked for again', async () => {
  const { alice: jti } = names()
  const { peers } = two.hub
  peers.answer('revoke', () => new Promise(() => {}))
  try {
    expect(await refused(one.url, 'POST', '/realtime/tokens/revoke', { body: { jti } })).toMatchObject({
      status: 503,
      error: { code: 'RT_009', error_code: 'unavailable', reconnect: true, retry_after_ms: 5000 },
    })
    expect(await meAt(one, { jti })).toBe(401)
  } finally {
    peers.answer('revoke', () => 0)
  }
  expect(await revoke(one, { jti })).toEqual({ status: 200, body: { disconnected: 0 } })
  // It looks again by itself.
  await until(async () => (await meAt(two, { jti })) === 401)
})

test('while Redis is away nothing is revoked, and that is said', async () => {
  await using own = await startCluster({ instances: 1, config: CONFIG })
  const [alone] = own.servers as [TestServer]
  await own.redis.kill()
  await until(() => alone.hub.backend.log.failing !== undefined)
  expect(await refused(alone.url, 'POST', '/realtime/tokens/revoke', { body: { jti: 'x' } })).toMatchObject({
    status: 503,
    error: { error_code: 'unavailable' },
  })
  expect(await meAt(alone, { jti: 'x' })).toBe(200)
})
