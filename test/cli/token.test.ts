import { describe, expect, test } from 'bun:test'
import { jwtVerify } from 'jose'
import { SECRET, tidings } from './support.ts'

/** The claims of a printed token, whose signature must be good. */
async function claims(token: string) {
  const { payload } = await jwtVerify(token, new TextEncoder().encode(SECRET), { algorithms: ['HS256'] })
  return payload
}

test('a token names its user and is good for an hour', async () => {
  const { code, out } = await tidings(['token', '--user', 'alice'])
  const { exp = 0, iat = 0, ...rest } = await claims(out)
  expect([code, rest]).toEqual([0, { user_id: 'alice' }])
  expect(exp - iat).toBe(3600)
})

test('every option becomes its claim', async () => {
  const { out } = await tidings([
    ...['token', '--user=bob', '--device', 'phone', '--role', 'admin', '--rooms', 'lobby, staff:*'],
    ...['--claim', 'level=3', '--claim', 'name=Bob', '--claim', 'meta={"team":"a=b"}', '--expires', '7d'],
  ])
  const { exp = 0, iat = 0, ...rest } = await claims(out)
  expect(rest).toEqual({
    user_id: 'bob',
    device_id: 'phone',
    role: 'admin',
    rooms: ['lobby', 'staff:*'],
    level: 3,
    name: 'Bob',
    meta: { team: 'a=b' },
  })
  expect(exp - iat).toBe(7 * 24 * 3600)
})

test('a token carries the issuer and the audience that the server asks for', async () => {
  const settings = ['--auth.issuer=https://id.example', '--auth.audience=chat']
  expect(await claims((await tidings(['token', '--user=a', ...settings])).out)).toMatchObject({
    iss: 'https://id.example',
    aud: 'chat',
  })
  expect(await claims((await tidings(['token', '--user=a', '--claim=aud=other', ...settings])).out)).toMatchObject({
    aud: 'other',
  })
})

describe('no token is printed', () => {
  test.each<[why: string, args: string[], env: Record<string, string>, message: string]>([
    ['without a user', [], {}, '--user: expected a name, found nothing'],
    ['with a bad claim', ['--user=a', '--claim=x'], {}, '--claim: expected NAME=VALUE'],
    ['without an end', ['--user=a', '--expires=0s'], {}, '--expires: expected a duration'],
    ['with an end that is no duration', ['--user=a', '--expires=soon'], {}, '--expires: expected a duration'],
    ['without a secret', ['--user=a'], { TIDINGS_AUTH_SECRET: '' }, 'there is no auth.secret to sign with'],
    [
      'with a secret that only this command would know',
      ['--user=a', '--dev'],
      { TIDINGS_AUTH_SECRET: '' },
      'give the server and this command the same one',
    ],
    [
      'for a JWKS',
      ['--user=a'],
      { TIDINGS_AUTH_SECRET: '', TIDINGS_AUTH_JWKS: 'keys.json' },
      'signed by whoever holds its private keys',
    ],
    ['that the server would not take', ['--user=a', '--auth.algorithms=HS512'], {}, 'signed with HS256'],
  ])('%s', async (_why, args, env, message) => {
    const { code, out, err } = await tidings(['token', ...args], env)
    expect([code, out, err]).toEqual([1, '', expect.stringContaining(message)])
    expect(err).not.toContain(SECRET)
  })
})

test('--new-secret prints one that the configuration takes', async () => {
  const { code, out } = await tidings(['token', '--new-secret'], { TIDINGS_AUTH_SECRET: '' })
  expect([code, out]).toEqual([0, expect.stringMatching(/^[A-Za-z0-9_-]{64}$/)])
  expect((await tidings(['check'], { TIDINGS_AUTH_SECRET: out })).code).toBe(0)
})
