import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask, refused } from './api.ts'
import { raw, request } from './raw.ts'

const LIMITS = { max_message_bytes: 2048, max_depth: 6, max_keys: 20 }
let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] }, limits: LIMITS } })
})
afterAll(() => server[Symbol.asyncDispose]())

const publish = (body: unknown) => ask(server.url, 'POST', '/realtime/publish', { body })
const message = (payload: unknown) => ({ to: { room: 'lobby' }, type: 'x', payload })
/** A message whose JSON has this many bytes. */
const sized = (bytes: number) => {
  const empty = JSON.stringify(message('')).length
  return JSON.stringify(message('x'.repeat(bytes - empty)))
}
const nested = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)
const keyed = (keys: number) => Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k${i}`, 0]))

// A backend is held to what a client is held to: its message goes to the same clients.
describe('a body', () => {
  test('may be as large as a frame, and not a byte larger', async () => {
    expect((await publish(sized(2048))).status).toBe(200)
    expect(await refused(server.url, 'POST', '/realtime/publish', { body: sized(2049) })).toEqual({
      status: 413,
      error: {
        code: 'RT_008',
        error_code: 'payload_too_large',
        message: 'The message is larger than 2048 bytes',
        reconnect: false,
        details: { max_bytes: 2048 },
      },
    })
  })

  test('is counted in bytes, not in characters', async () => {
    expect((await publish(JSON.stringify(message('€'.repeat(800))))).status).toBe(413)
  })

  test('that does not say its length is counted while it comes', async () => {
    const chunk = `800\r\n${'x'.repeat(2048)}\r\n`
    const head = request(
      'POST /realtime/publish',
      'Host: localhost',
      `Authorization: Bearer ${ADMIN_KEY}`,
      'Transfer-Encoding: chunked',
    )
    const { status, body } = await raw(server.url, `${head}${chunk}${chunk}0\r\n\r\n`)
    expect({ status, code: JSON.parse(body).error.code }).toEqual({ status: 413, code: 'RT_008' })
  })

  test('is as deep and as wide as a frame may be', async () => {
    expect((await publish(message(nested(5)))).status).toBe(200)
    expect((await publish(message(nested(6)))).status).toBe(400)
    expect((await publish(message(keyed(16)))).status).toBe(200)
    expect((await publish(message(keyed(17)))).status).toBe(400)
  })

  test('that is no JSON is refused, whatever it claims to be', async () => {
    const bodies = [
      '',
      '{',
      'null',
      '5',
      '"x"',
      '[]',
      '{"a":1}x',
      '\ufeff{}',
      '{"to":"all","type":"x","payload":{"$bin":"*"}}',
    ]
    for (const body of bodies) {
      for (const type of [
        'application/json',
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        '',
      ]) {
        const asking = { body, headers: { 'content-type': type } }
        const { status, error } = await refused(server.url, 'POST', '/realtime/publish', asking)
        expect({ body, type, status, code: error['code'] }).toEqual({ body, type, status: 400, code: 'RT_004' })
      }
    }
  })

  test('is read as JSON whatever its type says', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
      const asking = { body: message(1), headers: { 'content-type': type } }
      expect((await ask(server.url, 'POST', '/realtime/publish', asking)).status).toBe(200)
    }
  })

  test('that is not UTF-8 is refused', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"to":"all","type":"x","payload":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    const response = await fetch(`${server.url}/realtime/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      body: bytes,
    })
    expect(response.status).toBe(400)
  })

  test('with __proto__ in it pollutes nothing', async () => {
    const body =
      '{"to":{"room":"lobby"},"type":"x","payload":{},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
    expect((await publish(body)).status).toBe(200)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

// What nobody has read must not be taken for the next request of whoever shares the connection.
test('a body that is refused unread is not taken for the next request', async () => {
  const hidden = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const next = request('GET /readyz', 'Host: localhost')
  const large = hidden.repeat(60)
  const admin = `Authorization: Bearer ${ADMIN_KEY}\r\n`
  const refusals: [status: number, headers: string, body: string][] = [
    [401, '', hidden],
    [404, admin, hidden],
    [413, admin, large],
  ]
  for (const [status, headers, body] of refusals) {
    const path = status === 404 ? '/realtime/nowhere' : '/realtime/publish'
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Length: ${body.length}\r\n\r\n`
    const answer = await raw(server.url, `${head}${body}${next}`)
    expect(answer.status).toBe(status)
    expect([...answer.body.matchAll(/"status":"(\w+)"/g)].map(([, word]) => word)).toEqual(['ready'])
  }
})

describe('a batch', () => {
  const batch = (body: unknown) => ask(server.url, 'POST', '/realtime/publish/batch', { body })

  test('holds each message to the limits of one, and fails that one alone', async () => {
    const { body } = await batch([
      message(1),
      JSON.parse(sized(2049)),
      message(nested(6)),
      message(keyed(17)),
      message(keyed(16)),
    ])
    const outcomes = body as { id?: string; error?: { code: string } }[]
    expect(outcomes.map(({ error }) => error?.code ?? 'ok')).toEqual(['ok', 'RT_008', 'RT_004', 'RT_004', 'ok'])
  })

  test('holds 16 times the bytes of one message', async () => {
    const full = JSON.parse(sized(2000))
    expect((await batch(Array(16).fill(full))).status).toBe(200)
    expect((await batch(Array(17).fill(full))).status).toBe(413)
  })

  test('has at most 1,000 messages', async () => {
    await using roomy = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
    const many = (count: number) =>
      ask(roomy.url, 'POST', '/realtime/publish/batch', { body: Array(count).fill(message(0)) })
    expect((await many(1000)).status).toBe(200)
    expect((await many(1001)).status).toBe(413)
  })
})
