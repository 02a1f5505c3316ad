import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { claims, encode, forge, forgeSigned } from '../auth/forge.ts'
import { files } from '../config/support.ts'
import { knock, RawSocket } from '../support/raw.ts'

const SECRET = 'q7JX0c4vT1mZp9sWb3eKd8uYh2nLr6aG'
const NOW_S = Math.floor(Date.now() / 1000)
const good = (changes: Record<string, unknown> = {}) => claims({ iat: NOW_S, exp: NOW_S + 300, ...changes })

// Danger: a token that its issuer never signed, or that was signed for something else, opens the door.
describe('a token that is not one', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
  const folder = files({ 'keys.json': JSON.stringify({ keys: [jwk] }) })
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({
      config: {
        auth: {
          secret: SECRET,
          jwks: folder.path('keys.json'),
          algorithms: ['HS256', 'RS256'],
          issuer: 'https://id.example',
          audience: 'chat',
        },
        limits: { per_user: 0 },
      },
    })
    writeFileSync(folder.path('secret'), SECRET)
  })
  afterAll(async () => {
    await server.stop()
    folder[Symbol.dispose]()
  })
  const mine = (changes: Record<string, unknown> = {}) => good({ iss: 'https://id.example', aud: 'chat', ...changes })

  const none = `${encode({ alg: 'none' })}.${encode(mine())}.`
  const bad: [name: string, token: () => string][] = [
    ['unsigned', () => none],
    ['unsigned, in another spelling', () => `${encode({ alg: 'nOnE' })}.${encode(mine())}.`],
    ['signed with the public key as if it were a secret', () => forge(mine(), { alg: 'HS256', kid: 'k1' }, pem)],
    ['of an algorithm that is not allowed', () => forge(mine(), { alg: 'HS512' }, SECRET)],
    ['of an unknown key', () => forgeSigned(mine(), { alg: 'RS256', kid: 'k2' }, privateKey)],
    ['whose key is a path', () => forge(mine(), { alg: 'HS256', kid: '../../../dev/null' }, '')],
    ['that brings its own key', () => forgeSigned(mine(), { alg: 'RS256', jwk, kid: 'x' }, privateKey)],
    ['with an extension that must be understood', () => forge(mine(), { b64: false, crit: ['b64'] }, SECRET)],
    ['without an end', () => forge(mine({ exp: undefined }), {}, SECRET)],
    ['with an end that is text', () => forge(mine({ exp: `${NOW_S + 300}` }), {}, SECRET)],
    ['with an end in milliseconds', () => forge(mine({ exp: Date.now() + 300_000 }), {}, SECRET)],
    ['not good yet', () => forge(mine({ nbf: NOW_S + 60 }), {}, SECRET)],
    ['of another issuer', () => forge(mine({ iss: 'https://evil.example' }), {}, SECRET)],
    ['for another audience', () => forge(mine({ aud: 'billing' }), {}, SECRET)],
    ['of a user that is an object', () => forge(mine({ sub: { $ne: null } }), {}, SECRET)],
    ['of nobody', () => forge(mine({ sub: undefined }), {}, SECRET)],
    ['cut', () => forge(mine(), {}, SECRET).slice(0, -1)],
    ['of 12 KB', () => forge(mine({ pad: 'x'.repeat(9000) }), {}, SECRET)],
    ['text', () => 'not.a.token'],
  ]
  for (const [name, token] of bad) {
    test.concurrent(`${name} is refused like every other`, async () => {
      const { status, body } = await knock(server.url, '/realtime', { authorization: `Bearer ${token()}` })
      const { correlation_id: _made, ...error } = body.error
      expect({ status, code: error.code }).toEqual({ status: 401, code: 'RT_002' })
      expect(JSON.stringify(error)).not.toContain(token().slice(0, 20))
      expect(error).not.toHaveProperty('stack')
    })
  }

  test('is not what the server refuses everything for: a good one of either key opens', async () => {
    for (const token of [forge(mine(), {}, SECRET), forgeSigned(mine(), { alg: 'RS256', kid: 'k1' }, privateKey)]) {
      using raw = await RawSocket.upgrade(server.url, '/realtime', { authorization: `Bearer ${token}` })
      expect((await raw.json())['type']).toBe('welcome')
    }
  })
})
