import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { DEFAULT_KEPT_S, MAX_AHEAD_S, MAX_KEPT_S } from '../../src/http/revocation.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'
import { ADMIN_KEY, refused, told, unique } from './api.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({
    config: { admin: { keys: [ADMIN_KEY] }, auth: { clock_tolerance_ms: 5000 }, limits: { per_user: 0 } },
  })
})
afterAll(() => server[Symbol.asyncDispose]())

const PATH = '/realtime/tokens/revoke'
const revoke = (body: unknown) => told(server.url, 'POST', PATH, { body })
const nowS = () => Math.floor(Date.now() / 1000)
const kept = async () => (await server.hub.backend.revocations.all())?.revocations ?? []

describe('a revocation that is asked for wrongly', () => {
  const bad: [body: unknown, field: string][] = [
    [{}, 'jti'],
    [{ expires_at: nowS() + 60 }, 'jti'],
    [{ jti: '' }, 'jti'],
    [{ jti: 7 }, 'jti'],
    [{ jti: null, issued_before: 1 }, 'jti'],
    [{ jti: 'x'.repeat(257) }, 'jti'],
    [{ jti: 'a\nb' }, 'jti'],
    [{ jti: 'a', user_id: 'alice' }, 'jti'],
    [{ jti: 'a', issued_before: 1 }, 'jti'],
    [{ user_id: null, issued_before: 1 }, 'user_id'],
    [{ user_id: '', issued_before: 1 }, 'user_id'],
    [{ user_id: 1.5 }, 'user_id'],
    [{ user_id: ['alice'] }, 'user_id'],
    [{ user_id: 'a\u0000' }, 'user_id'],
    [{ user_id: 'alice', device_id: {} }, 'device_id'],
    [{ device_id: 'phone' }, 'user_id'],
    [{ device_id: 'phone', issued_before: 1 }, 'user_id'],
    [{ issued_before: 'now' }, 'issued_before'],
    [{ issued_before: null }, 'issued_before'],
    [{ issued_before: -1 }, 'issued_before'],
    [{ issued_before: nowS() + MAX_AHEAD_S + 60 }, 'issued_before'],
    [{ issued_before: Date.now() }, 'issued_before'],
    [{ user_id: 'alice', expires_at: nowS() - 1 }, 'expires_at'],
    [{ user_id: 'alice', expires_at: 3600 }, 'expires_at'],
    [{ user_id: 'alice', expires_at: nowS() + MAX_KEPT_S + 60 }, 'expires_at'],
    [{ user_id: 'alice', expires_at: Date.now() + 60_000 }, 'expires_at'],
    [{ user_id: 'alice', expires_at: '1d' }, 'expires_at'],
  ]
  for (const [body, field] of bad) {
    test(`is refused: ${JSON.stringify(body).slice(0, 60)}`, async () => {
      expect(await refused(server.url, 'POST', PATH, { body })).toMatchObject({
        status: 400,
        error: { code: 'RT_004', error_code: 'invalid_message', reconnect: false, details: { field } },
      })
    })
  }

  test('is refused where it is none', async () => {
    for (const body of ['', 'nonsense', '[]', '"alice"', 'null', '7']) {
      expect(await refused(server.url, 'POST', PATH, { body })).toMatchObject({
        status: 400,
        error: { code: 'RT_004', error_code: 'invalid_message' },
      })
    }
  })

  test('has revoked nothing', async () => {
    expect(await kept()).toEqual([])
  })
})

test('tokens of the second that has begun are good, unless a moment is named: a fresh login works', async () => {
  const user = unique('user')
  await using client = await server.connect({ user })
  // Its own second has to be over, or it is none that was issued before.
  const { issuedAt = 0 } = [...server.hub.registry.byUser.get(user)][0]?.identity ?? {}
  await until(() => nowS() * 1000 > issuedAt)
  expect(await revoke({ user_id: user })).toEqual({ status: 200, body: { disconnected: 1 } })
  expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
  await using again = await server.connect({ user })
  expect((await again.request({ type: 'ping' })).type).toBe('pong')
})

test('a user may be a number, as in a token', async () => {
  const user = 4711
  await using client = await server.connect({ user })
  expect(await revoke({ user_id: user, issued_before: nowS() + 2 })).toEqual({ status: 200, body: { disconnected: 1 } })
  expect(await client.closed).toEqual({ code: 4001, reason: 'token_revoked' })
})

test('again it ends nothing more, and is no error', async () => {
  const user = unique('user')
  await using client = await server.connect({ user })
  const body = { user_id: user, issued_before: nowS() + 2 }
  expect(await revoke(body)).toEqual({ status: 200, body: { disconnected: 1 } })
  await client.closed
  expect(await revoke(body)).toEqual({ status: 200, body: { disconnected: 0 } })
})

test('is kept as long as is said, or a season, and as much longer as a token is taken past its end', async () => {
  const [short, long] = [unique('jti'), unique('jti')]
  const expires_at = nowS() + 60
  const from = nowS()
  await revoke({ jti: short, expires_at })
  await revoke({ jti: long })
  const untilOf = async (jti: string) => (await kept()).find(({ scope }) => scope === `t:${jti}`)?.until ?? 0
  expect(await untilOf(short)).toBe(expires_at * 1000 + 5000)
  expect((await untilOf(long)) / 1000 - 5 - DEFAULT_KEPT_S).toBeWithin(from, nowS() + 1)
})

test('is written down: who, whose, with what outcome', async () => {
  const [jti, user] = [unique('jti'), unique('user')]
  const expires_at = nowS() + 60
  await revoke({ jti, expires_at })
  const issued_before = nowS() - 1
  await revoke({ user_id: user, device_id: 'phone', issued_before })
  const by = { event: 'admin_action', action: 'revoke_tokens', outcome: 'ok', disconnected: 0 }
  expect(await server.logged('admin_action', { jti })).toMatchObject({
    ...by,
    admin: expect.stringMatching(/^key:/),
    jti,
    expires_at,
  })
  expect(await server.logged('admin_action', { user_id: user })).toMatchObject({
    ...by,
    user_id: user,
    device_id: 'phone',
    issued_before,
  })
})
