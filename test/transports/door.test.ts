import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { RefusedError, startTestServer, type TestServer } from '../../src/testing/index.ts'
import { names } from '../support/names.ts'
import { knock, RawSocket, requestHead } from '../support/raw.ts'

setDefaultTimeout(20_000)

const FOREIGN = { origin: 'https://evil.example' }

/** What a refusal says, without what is made for it alone. */
async function refusal(url: string, path: string, headers?: Record<string, string | undefined>) {
  const { status, body } = await knock(url, path, headers)
  return [status, body.error.code, body.error.error_code]
}

/** The close code of a connection that asks for the reason, and the error that comes before it. */
async function closeReason(server: TestServer, path: string, headers: Record<string, string> = {}) {
  using raw = await RawSocket.upgrade(server.url, path, { host: new URL(server.url).host, ...headers })
  const error = await raw.json()
  const { code, reason } = await raw.closeFrame()
  return [code, reason, (error['payload'] as { code: string }).code]
}

describe('what the door says', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ config: { limits: { per_user: 1 } } })
  })
  afterAll(() => server.stop())

  test('to a request without credentials is 403, in one shape for every refusal', async () => {
    const { status, headers, body } = await knock(server.url, '/realtime')
    expect({ status, body }).toEqual({
      status: 403,
      body: {
        error: {
          code: 'RT_001',
          error_code: 'authentication_required',
          message: 'Authentication is required',
          reconnect: false,
          correlation_id: expect.stringMatching(/^e-/),
        },
      },
    })
    expect(headers.get('content-type')).toContain('application/json')
  })

  test('to a bad token is 401, with the scheme to use', async () => {
    const expired = await server.token({ user: 'alice', expiresIn: -1 })
    const answer = await knock(server.url, `/realtime?token=${expired}`)
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect(answer.body.error).toMatchObject({ code: 'RT_002', error_code: 'token_expired' })
    expect(await refusal(server.url, '/realtime?token=nonsense')).toEqual([401, 'RT_002', 'invalid_token'])
    expect(await refusal(server.url, '/realtime', { authorization: 'Bearer x.y.z' })).toEqual([
      401,
      'RT_002',
      'invalid_token',
    ])
  })

  test('to a request that is no upgrade is 426, and says what to upgrade to', async () => {
    const { status, headers, body } = await knock(server.url, '/realtime', {
      connection: undefined,
      upgrade: undefined,
    })
    expect([status, headers.get('upgrade'), body.error.code]).toEqual([426, 'websocket', 'RT_004'])
  })

  test('to one more connection of a user is 429, and when to try again', async () => {
    const { alice } = names()
    await using _client = await server.connect({ user: alice })
    const { status, headers, body } = await knock(server.url, `/realtime?token=${await server.token({ user: alice })}`)
    expect([status, headers.get('retry-after')]).toEqual([429, '5'])
    expect(body.error).toMatchObject({
      code: 'RT_007',
      error_code: 'connection_limit',
      message: 'Max connections exceeded',
      reconnect: true,
      retry_after_ms: 5000,
    })
  })

  test('to an origin that is not allowed is 403', async () => {
    const token = await server.token({ user: 'alice' })
    expect(await refusal(server.url, `/realtime?token=${token}`, FOREIGN)).toEqual([403, 'RT_003', 'forbidden'])
  })

  test('to the client of another protocol is 404', async () => {
    const { status, body } = await knock(server.url, '/socket.io/?EIO=4&transport=websocket')
    expect([status, body.error.code]).toEqual([404, 'RT_005'])
  })

  test('with the correlation id that the log has, and the log has no query', async () => {
    const { body } = await knock(server.url, '/realtime?token=nonsense-nonsense')
    const line = await server.logged('http_refused', { correlation_id: body.error.correlation_id })
    expect(line).toMatchObject({ path: '/realtime', error_code: 'invalid_token' })
    expect(server.output).not.toContain('nonsense-nonsense')
  })
})

describe('the door', () => {
  test('asks in a fixed order and answers the first thing that fails', async () => {
    await using server = await startTestServer({
      config: { limits: { per_user: 1, per_ip: 2, total: 3 } },
    })
    const { url } = server
    const bad = '/realtime?token=bad'
    // Each has all the faults of those after it.
    const plain = { ...FOREIGN, connection: undefined, upgrade: undefined }
    expect(await refusal(url, bad, plain)).toEqual([426, 'RT_004', 'upgrade_required'])
    expect(await refusal(url, bad, FOREIGN)).toEqual([403, 'RT_003', 'forbidden'])
    await using _one = await server.connect({ user: 'alice' })
    const good = `/realtime?token=${await server.token({ user: 'alice' })}`
    expect(await refusal(url, good)).toEqual([429, 'RT_007', 'connection_limit'])
    expect(await refusal(url, bad)).toEqual([401, 'RT_002', 'invalid_token'])
    server.hub.refuseNew()
    expect(await refusal(url, bad, plain)).toEqual([503, 'RT_009', 'draining'])
  })

  test('counts connects before it looks at the origin, and only those that are any', async () => {
    await using server = await startTestServer({ config: { limits: { connects_per_second: 2 } } })
    const knocks = (headers: Record<string, string | undefined>) =>
      Promise.all(Array.from({ length: 30 }, () => refusal(server.url, '/realtime?token=bad', headers)))
    const plain = await knocks({ ...FOREIGN, connection: undefined, upgrade: undefined })
    expect(new Set(plain.map(([status]) => status))).toEqual(new Set([426]))
    const fast = await knocks(FOREIGN)
    expect(new Set(fast.map(([status, code]) => `${status} ${code}`))).toEqual(new Set(['403 RT_003', '429 RT_006']))
  })

  test('counts addresses and all before it looks at credentials', async () => {
    await using byAddress = await startTestServer({ config: { limits: { per_ip: 1 } } })
    await using _first = await byAddress.connect({ user: 'alice' })
    expect(await refusal(byAddress.url, '/realtime?token=bad')).toEqual([429, 'RT_007', 'connection_limit'])
    await using full = await startTestServer({ config: { limits: { total: 1 } } })
    await using _second = await full.connect({ user: 'alice' })
    const { status, headers, body } = await knock(full.url, '/realtime?token=bad')
    expect([status, headers.get('retry-after'), body.error.message]).toEqual([503, '10', 'The server is full'])
    expect(await refusal(full.url, '/realtime?token=bad', FOREIGN)).toEqual([403, 'RT_003', 'forbidden'])
  })

  test('with close_reason=1 says the same in an error frame and a close code', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    const { alice } = names()
    await using _client = await server.connect({ user: alice })
    const path = (token: string) => `/realtime?close_reason=1&token=${token}`
    expect(await closeReason(server, path(''))).toEqual([4003, 'authentication_required', 'RT_001'])
    expect(await closeReason(server, path('bad'))).toEqual([4001, 'invalid_token', 'RT_002'])
    const expired = await server.token({ user: alice, expiresIn: -1 })
    expect(await closeReason(server, path(expired))).toEqual([4001, 'token_expired', 'RT_002'])
    expect(await closeReason(server, path('bad'), FOREIGN)).toEqual([4003, 'forbidden', 'RT_003'])
    const good = await server.token({ user: alice })
    expect(await closeReason(server, path(good))).toEqual([4009, 'connection_limit', 'RT_007'])
    server.hub.refuseNew()
    expect(await closeReason(server, path(good))).toEqual([1012, 'draining', 'RT_009'])
  })

  test('with close_reason=1 has a code for every limit', async () => {
    const path = '/realtime?close_reason=1'
    await using byAddress = await startTestServer({ config: { limits: { per_ip: 1 } } })
    await using _first = await byAddress.connect({ user: 'alice' })
    expect(await closeReason(byAddress, path)).toEqual([4009, 'connection_limit', 'RT_007'])
    await using byTime = await startTestServer({ config: { limits: { connects_per_second: 1 } } })
    const reasons = await Promise.all(Array.from({ length: 20 }, () => closeReason(byTime, path)))
    expect(reasons).toContainEqual([4029, 'rate_limited', 'RT_006'])
    await using full = await startTestServer({ config: { limits: { total: 1 } } })
    await using _second = await full.connect({ user: 'alice' })
    expect(await closeReason(full, path)).toEqual([1013, 'connection_limit', 'RT_007'])
  })

  test('is found under its other addresses too', async () => {
    await using server = await startTestServer()
    for (const path of ['/realtime', '/ws', '/ws/']) {
      await using client = await server.connect({ user: 'alice', path })
      expect(client.welcome.type).toBe('welcome')
    }
  })
})

describe('credentials', () => {
  const shown = async (ways: (token: string) => { query?: string; headers?: Record<string, string> }) => {
    await using server = await startTestServer({
      config: { auth: { cookie: 'session' }, server: { allowed_origins: ['https://app.example'] } },
    })
    const { query = '', headers = {} } = ways(await server.token({ user: 'alice' }))
    using raw = await RawSocket.open(server.url)
    raw.write(requestHead(`/realtime${query}`, headers))
    return (await raw.head()).status
  }

  test('are taken from the query, the header and the subprotocol', async () => {
    expect(await shown((token) => ({ query: `?token=${token}` }))).toBe(101)
    expect(await shown((token) => ({ headers: { authorization: `Bearer ${token}` } }))).toBe(101)
    expect(await shown((token) => ({ headers: { 'sec-websocket-protocol': `token.${token}` } }))).toBe(101)
  })

  test('are taken from a cookie only together with an origin that is allowed', async () => {
    const cookie = (token: string) => `other=1; session=${token}`
    expect(await shown((token) => ({ headers: { cookie: cookie(token), origin: 'https://app.example' } }))).toBe(101)
    expect(await shown((token) => ({ headers: { cookie: cookie(token) } }))).toBe(403)
    expect(await shown((token) => ({ headers: { cookie: cookie(token), ...FOREIGN } }))).toBe(403)
  })
})

describe('the subprotocol', () => {
  test('that is answered is the first known one; a token goes back only where it is the only one offered', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 0 } } })
    const token = await server.token({ user: 'alice' })
    const answered = async (offered: string | undefined) => {
      using raw = await RawSocket.open(server.url)
      raw.write(requestHead(`/realtime?token=${token}`, { 'sec-websocket-protocol': offered }))
      const { status, headers } = await raw.head()
      const first = await raw.frame()
      return [status, headers.get('sec-websocket-protocol'), first.opcode === 2 ? 'msgpack' : 'json']
    }
    const secret = `token.${token}`
    expect(await answered(undefined)).toEqual([101, null, 'json'])
    expect(await answered('tidings.v1.json')).toEqual([101, 'tidings.v1.json', 'json'])
    expect(await answered('chat, tidings.v1.msgpack')).toEqual([101, 'tidings.v1.msgpack', 'msgpack'])
    expect(await answered(`${secret}, tidings.v1.msgpack, tidings.v1.json`)).toEqual([
      101,
      'tidings.v1.msgpack',
      'msgpack',
    ])
    expect(await answered(secret)).toEqual([101, secret, 'json'])
    expect(await answered('chat')).toEqual([101, null, 'json'])
    expect(await answered(`${secret}, chat`)).toEqual([101, null, 'json'])
  })

  test('wins over the parameter of the address', async () => {
    await using server = await startTestServer()
    const query = `?format=msgpack&token=${await server.token({ user: 'alice' })}`
    using raw = await RawSocket.upgrade(server.url, `/realtime${query}`, {
      'sec-websocket-protocol': 'tidings.v1.json',
    })
    expect((await raw.json())['type']).toBe('welcome')
  })

  test('decides the format in which a refusal is told', async () => {
    await using server = await startTestServer()
    const headers = { 'sec-websocket-protocol': 'tidings.v1.msgpack' }
    using raw = await RawSocket.upgrade(server.url, '/realtime?close_reason=1', headers)
    expect((await raw.frame()).opcode).toBe(2)
  })

  test('that does not exist as a format is told in JSON', async () => {
    await using server = await startTestServer()
    const token = await server.token({ user: 'alice' })
    const outcome = await server.connect({ user: 'alice', query: { format: 'xml', token } }).catch((error) => error)
    expect(outcome).toBeInstanceOf(RefusedError)
    expect(outcome.error).toMatchObject({ error_code: 'invalid_message', details: { field: 'format' } })
  })
})

test('a parameter that is malformed is refused with the name of its field, and holds no place', async () => {
  await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
  const malformed: Record<string, string> = {
    rooms: Array.from({ length: 1001 }, (_, n) => `${n}`).join(),
    device_id: '\u0007',
    cursor: 'yesterday',
    envelope: 'parcel',
  }
  for (const [field, value] of Object.entries(malformed)) {
    const outcome = await server.connect({ user: 'alice', query: { [field]: value } }).catch((error) => error)
    expect(outcome).toBeInstanceOf(RefusedError)
    expect(outcome.error).toMatchObject({ error_code: 'invalid_message', details: { field } })
  }
  await using client = await server.connect({ user: 'alice' })
  expect(client.welcome.type).toBe('welcome')
})
