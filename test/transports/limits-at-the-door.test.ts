import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { RefusedError, startTestServer, type TestServer } from '../../src/testing/index.ts'
import { names } from '../support/names.ts'
import { knock, RawSocket, requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(20_000)

const path = async (server: TestServer, user: string) => `/realtime?token=${await server.token({ user })}`

/** Connects and says what became of it. */
async function tryTo(server: TestServer, user: string) {
  return await server.connect({ user }).catch((error: unknown) => {
    if (error instanceof RefusedError) return error
    throw error
  })
}

describe('the limit per user', () => {
  test.concurrent('refuses one more, and lets it in when another has left', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 2 } } })
    const first = await server.connect({ user: 'alice' })
    await using _second = await server.connect({ user: 'alice' })
    await using _other = await server.connect({ user: 'bob' })
    expect(await tryTo(server, 'alice')).toBeInstanceOf(RefusedError)
    await first.close()
    await using third = await server.connect({ user: 'alice' })
    expect(third.welcome.type).toBe('welcome')
    expect(await tryTo(server, 'alice')).toBeInstanceOf(RefusedError)
  })

  test.concurrent('with close_oldest closes the oldest, which hears why and is not to come back', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 2, per_user_policy: 'close_oldest' } } })
    await using oldest = await server.connect({ user: 'alice' })
    await using older = await server.connect({ user: 'alice' })
    await using newest = await server.connect({ user: 'alice' })
    expect(await oldest.next('error')).toMatchObject({ payload: { code: 'RT_007', reconnect: false } })
    expect(await oldest.closed).toEqual({ code: 4009, reason: 'connection_limit' })
    for (const client of [older, newest]) expect(await client.received()).toEqual([])
    expect(server.hub.registry.byUser.count('alice')).toBe(2)
  })

  test.concurrent('holds against two hundred connects at once, and then exactly its number is open', async () => {
    for (const per_user_policy of ['reject', 'close_oldest'] as const) {
      await using server = await startTestServer({ config: { limits: { per_user: 3, per_user_policy } } })
      const token = await server.token({ user: 'alice' })
      let most = 0
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const raw = await RawSocket.open(server.url)
          raw.write(requestHead(`/realtime?token=${token}`))
          const { status } = await raw.head()
          most = Math.max(most, server.hub.registry.byUser.count('alice'))
          return { raw, status }
        }),
      )
      expect(most).toBeLessThanOrEqual(3)
      expect(server.hub.registry.byUser.count('alice')).toBe(3)
      const let_in = outcomes.filter(({ status }) => status === 101).length
      if (per_user_policy === 'reject') expect(let_in).toBe(3)
      expect(outcomes.every(({ status }) => status === 101 || status === 429)).toBe(true)
      for (const { raw } of outcomes) raw.reset()
      await until(() => server.hub.registry.size === 0)
      await using again = await server.connect({ user: 'alice' })
      expect(again.welcome.type).toBe('welcome')
    }
  })

  // Somebody whose phone changed networks would be locked out by a connection that is dead and not yet found.
  test.concurrent('makes room for a newcomer where an older connection does not answer a ping', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    using dead = await RawSocket.upgrade(server.url, await path(server, 'alice'))
    await dead.json()
    const [silent] = server.hub.registry.byUser.get('alice')
    if (silent === undefined) throw new Error('not registered')
    silent.lastInbound -= 1500
    await using client = await server.connect({ user: 'alice' })
    expect(client.welcome.type).toBe('welcome')
    expect(await dead.closeFrame()).toEqual({ code: 4010, reason: 'heartbeat_timeout' })
    expect(server.hub.registry.byUser.count('alice')).toBe(1)
  })

  test.concurrent('refuses a newcomer where the silent one answers its ping', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    await using quiet = await server.connect({ user: 'alice' })
    const [silent] = server.hub.registry.byUser.get('alice')
    if (silent === undefined) throw new Error('not registered')
    silent.lastInbound -= 1500
    expect(await tryTo(server, 'alice')).toBeInstanceOf(RefusedError)
    expect(await quiet.received()).toEqual([])
  })
})

describe('a slot', () => {
  test.concurrent('is free again after every way in which a handshake can fail', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1, per_ip: 1, total: 1 } } })
    const good = await path(server, 'alice')
    const bad: [string, Record<string, string | undefined>][] = [
      [`${good}&cursor=bad`, {}],
      [`${good}&format=bad`, {}],
      [`${good}&device_id=%00`, {}],
      ['/realtime?token=bad', {}],
      [good, { 'sec-websocket-key': undefined }],
      [good, { 'sec-websocket-version': '12' }],
    ]
    for (const [address, headers] of bad) {
      using raw = await RawSocket.open(server.url)
      raw.write(requestHead(address, headers))
      // The runtime answers some of these itself, without a word.
      expect((await raw.head()).status).toBeWithin(400, 500)
    }
    await using client = await server.connect({ user: 'alice' })
    expect(client.welcome.type).toBe('welcome')
  })

  test.concurrent('is free again after a client that vanishes during the handshake', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 3 } } })
    const head = requestHead(await path(server, 'alice'))
    for (let round = 0; round < 30; round++) {
      const raw = await RawSocket.open(server.url)
      raw.write(head)
      // At different points of the handshake: some before the token is verified, some after.
      if (round % 3 > 0) await new Promise((resolve) => setImmediate(resolve))
      if (round % 3 > 1) await Bun.sleep(1)
      raw.reset()
    }
    await until(() => server.hub.registry.size === 0)
    for (const _ of [1, 2, 3]) expect(await tryTo(server, 'alice')).not.toBeInstanceOf(RefusedError)
    expect(await tryTo(server, 'alice')).toBeInstanceOf(RefusedError)
  })
})

describe('the limit per address', () => {
  test.concurrent('goes by the address behind a proxy that is trusted, an IPv6 network as one', async () => {
    const config = { server: { trusted_proxies: ['127.0.0.1'] }, limits: { per_ip: 1 } }
    await using server = await startTestServer({ config })
    const via = (address: string) => server.connect({ user: names().alice, headers: { 'x-forwarded-for': address } })
    await using _first = await via('198.51.100.1')
    await using _second = await via('198.51.100.2')
    await using _third = await via('2001:db8:1:2::1')
    await using _fourth = await via('2001:db8:1:3::1')
    for (const address of ['198.51.100.1', '2001:db8:1:2:ffff::9', '203.0.113.9, 198.51.100.2']) {
      expect(await via(address).catch((error) => error)).toBeInstanceOf(RefusedError)
    }
  })

  // Whoever may choose the address that is counted has no limit.
  test.concurrent('goes by the other end of the connection where nobody is trusted', async () => {
    await using server = await startTestServer({ config: { limits: { per_ip: 1 } } })
    await using _first = await server.connect({ user: 'alice' })
    const forged = server.connect({ user: 'bob', headers: { 'x-forwarded-for': '198.51.100.1' } })
    expect(await forged.catch((error) => error)).toBeInstanceOf(RefusedError)
  })
})

describe('the limit of connects per second', () => {
  test.concurrent('refuses before a token is looked at, and says when to try again', async () => {
    await using server = await startTestServer({ config: { limits: { connects_per_second: 2 } } })
    const answers = await Promise.all(Array.from({ length: 30 }, () => knock(server.url, '/realtime?token=bad')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(2)
    expect(refused.length).toBeGreaterThan(0)
    for (const { headers, body } of refused) {
      expect([headers.get('retry-after'), body.error.error_code]).toEqual(['1', 'rate_limited'])
      expect(body.error.retry_after_ms).toBeWithin(1, 501)
    }
  })
})

describe('a limit of 0', () => {
  test.concurrent('is none', async () => {
    const limits = { per_user: 0, per_ip: 0, total: 0, connects_per_second: 0 }
    await using server = await startTestServer({ config: { limits } })
    const clients = await Promise.all(Array.from({ length: 120 }, () => server.connect({ user: 'alice' })))
    expect(server.hub.registry.size).toBe(120)
    await Promise.all(clients.map((client) => client.close()))
  })
})
