import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { createVerifier } from '../../src/auth/verify.ts'
import { claims, encode, forge, forgeSigned, NOW, NOW_S, SECRET } from './forge.ts'
import { withJwks, withNothing, withSecret } from './options.ts'
import { EXPIRED, INVALID, refusal } from './outcome.ts'

const now = () => NOW
const OTHER_SECRET = 'another secret, every bit as long as the first'

const folder = mkdtempSync(join(tmpdir(), 'tidings-verify-'))
afterAll(() => rmSync(folder, { recursive: true }))

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
const SET = { keys: [jwk(rsa.publicKey, 'r1'), jwk(ec.publicKey, 'e1'), jwk(ed.publicKey, 'd1')] }

let files = 0
function jwksFile(set: unknown = SET): string {
  const path = join(folder, `${files++}.json`)
  writeFileSync(path, JSON.stringify(set))
  return path
}

describe('a secret', () => {
  test('verifies tokens that other libraries signed with it', async () => {
    const token = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(SECRET))
    expect(await createVerifier(withSecret(), { now }).verify(token)).toEqual({
      userId: 'alice',
      roles: [],
      issuedAt: NOW - 10_000,
      expiresAt: NOW + 3_600_000,
    })
  })

  test('is a signature over exactly header and payload: RFC 7515, appendix A.1', async () => {
    // The key of the appendix is 64 bytes that are no text, so the same bytes are signed with ours.
    const token = `${encode('{"typ":"JWT",\r\n "alg":"HS256"}')}.${encode('{"sub":"joe",\r\n "exp":1893459600}')}`
    const signature = new Bun.CryptoHasher('sha256', SECRET).update(token).digest('base64url')
    expect((await createVerifier(withSecret(), { now }).verify(`${token}.${signature}`)).userId).toBe('joe')
  })

  for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
    test(`verifies ${alg} where it is configured, and then nothing else`, async () => {
      const verifier = createVerifier(withSecret({ algorithms: [alg] }), { now })
      expect((await verifier.verify(forge(claims(), { alg }))).userId).toBe('alice')
      for (const other of ['HS256', 'HS384', 'HS512'].filter((name) => name !== alg)) {
        expect(await refusal(verifier.verify(forge(claims(), { alg: other })))).toEqual(INVALID)
      }
    })
  }

  test('that was replaced still verifies, one that is unknown does not', async () => {
    const verifier = createVerifier(withSecret({ secret: OTHER_SECRET, previous_secrets: [SECRET] }), { now })
    expect((await verifier.verify(forge(claims()))).userId).toBe('alice')
    expect((await verifier.verify(forge(claims(), {}, OTHER_SECRET))).userId).toBe('alice')
    expect(await refusal(verifier.verify(forge(claims(), {}, 'a third secret that nobody ever configured')))).toEqual(
      INVALID,
    )
  })

  test('shorter than 32 bytes is refused when the verifier is made', () => {
    expect(() => createVerifier(withSecret({ secret: 'x'.repeat(31) }))).toThrow('at least 32 bytes, found 31')
    expect(() => createVerifier(withSecret({ previous_secrets: ['short'] }))).toThrow('at least 32 bytes, found 5')
    // Bytes count, not characters.
    expect(() => createVerifier(withSecret({ secret: 'é'.repeat(16) }))).not.toThrow()
  })

  test('of no use to the configured algorithms is refused when the verifier is made', () => {
    expect(() => createVerifier(withSecret({ algorithms: ['RS256'] }))).toThrow('no key is of that kind')
  })
})

describe('a key set', () => {
  for (const [alg, kid, pair] of [
    ['RS256', 'r1', rsa],
    ['ES256', 'e1', ec],
    ['EdDSA', 'd1', ed],
  ] as const) {
    test(`verifies ${alg}, with the key's name and without`, async () => {
      const verifier = createVerifier(withJwks(jwksFile()), { now })
      expect((await verifier.verify(forgeSigned(claims(), { alg, kid }, pair.privateKey))).userId).toBe('alice')
      expect((await verifier.verify(forgeSigned(claims(), { alg }, pair.privateKey))).userId).toBe('alice')
    })
  }

  test('and a secret may be there at once, each for its own algorithms', async () => {
    const verifier = createVerifier(withJwks(jwksFile(), { secret: SECRET }), { now })
    expect((await verifier.verify(forge(claims()))).userId).toBe('alice')
    expect((await verifier.verify(forgeSigned(claims(), { alg: 'RS256', kid: 'r1' }, rsa.privateKey))).userId).toBe(
      'alice',
    )
  })

  test('does not verify with a key of another name, or with one of two that are not told apart', async () => {
    const other = generateKeyPairSync('ed25519')
    const verifier = createVerifier(
      withJwks(jwksFile({ keys: [jwk(ed.publicKey, 'd1'), jwk(other.publicKey, 'd2')] })),
      { now },
    )
    const sign = (header: { kid?: string }) => forgeSigned(claims(), { alg: 'EdDSA', ...header }, ed.privateKey)
    expect((await verifier.verify(sign({ kid: 'd1' }))).userId).toBe('alice')
    expect(await refusal(verifier.verify(sign({ kid: 'd2' })))).toEqual(INVALID)
    expect(await refusal(verifier.verify(sign({})))).toEqual(INVALID)
  })

  test('that holds private keys, keys for encryption and secrets verifies with the public signature keys alone', async () => {
    const path = jwksFile({
      keys: [
        { ...jwk(ec.publicKey, 'enc'), use: 'enc' },
        { kty: 'oct', kid: 'oct', k: encode(SECRET), alg: 'HS256' },
        { ...jwk(rsa.publicKey, 'other-alg'), alg: 'PS256' },
        { kty: 'RSA', kid: 'broken', n: '!', e: 7 },
        'not a key',
        jwk(ed.privateKey, 'private'),
      ],
    })
    const verifier = createVerifier(withJwks(path), { now })
    const good = forgeSigned(claims(), { alg: 'EdDSA', kid: 'private' }, ed.privateKey)
    expect((await verifier.verify(good)).userId).toBe('alice')
    expect(await refusal(verifier.verify(forge(claims(), { kid: 'oct' })))).toEqual(INVALID)
    expect(await refusal(verifier.verify(forgeSigned(claims(), { alg: 'ES256', kid: 'enc' }, ec.privateKey)))).toEqual(
      INVALID,
    )
    expect(
      await refusal(verifier.verify(forgeSigned(claims(), { alg: 'RS256', kid: 'other-alg' }, rsa.privateKey))),
    ).toEqual(INVALID)
  })
})

/** Each is a way in which token checks of other servers were once got round. */
describe('JWT confusion: every forgery gets the same answer', () => {
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const good = forge(claims())
  const [header = '', payload = '', signature = ''] = good.split('.')
  const none = (alg: string) => `${encode({ alg, typ: 'JWT' })}.${encode(claims())}.`

  const forgeries: Record<string, string> = {
    'alg none without a signature': none('none'),
    'alg None': `${none('None')}x`,
    'alg none with the signature of a good token': `${none('none')}${signature}`,
    'no alg at all': forge(claims(), JSON.stringify({ typ: 'JWT' })),
    'an alg that is a list': forge(claims(), JSON.stringify({ alg: ['HS256'] })),
    'an alg called like a property of every object': forge(claims(), JSON.stringify({ alg: 'constructor' })),
    'HS256 with the public key as its secret': forge(claims(), { kid: 'r1' }, pem),
    'HS256 with the DER of the public key': forge(
      claims(),
      { kid: 'r1' },
      rsa.publicKey.export({ type: 'spki', format: 'der' }),
    ),
    'HS512 with the right secret': forge(claims(), { alg: 'HS512' }),
    'HS256 with an empty secret': forge(claims(), {}, ''),
    'RS256 signed by another key': forgeSigned(
      claims(),
      { alg: 'RS256', kid: 'r1' },
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    ),
    'RS256 with the name of an EC key': forgeSigned(claims(), { alg: 'RS256', kid: 'e1' }, rsa.privateKey),
    'an HMAC called RS256': forge(claims(), { alg: 'RS256', kid: 'r1' }, pem),
    'PS256, which is not allowed': forgeSigned(claims(), { alg: 'PS256', kid: 'r1' }, rsa.privateKey),
    'kid: a path': forgeSigned(claims(), { alg: 'RS256', kid: '../../../../etc/passwd' }, rsa.privateKey),
    'kid: a URL': forgeSigned(claims(), { alg: 'RS256', kid: 'https://evil.example/key' }, rsa.privateKey),
    'kid: __proto__': forgeSigned(claims(), { alg: 'RS256', kid: '__proto__' }, rsa.privateKey),
    'kid: SQL': forgeSigned(claims(), { alg: 'RS256', kid: "' OR 1=1 --" }, rsa.privateKey),
    'kid: an object': forgeSigned(claims(), { alg: 'RS256', kid: {} }, rsa.privateKey),
    'kid: an object, beside a good HMAC': forge(claims(), { kid: {} }),
    'a key of its own in the header': forgeSigned(
      claims(),
      { alg: 'EdDSA', kid: 'own', jwk: jwk(ed.publicKey, 'own') },
      ed.privateKey,
    ),
    'jku: keys of its own elsewhere': forgeSigned(
      claims(),
      { alg: 'EdDSA', kid: 'own', jku: 'http://127.0.0.1:1/jwks' },
      ed.privateKey,
    ),
    'b64=false with crit': forge(claims(), { b64: false, crit: ['b64'] }),
    'b64=false without crit': forge(claims(), { b64: false }),
    'crit with an unknown extension': forge(claims(), { crit: ['x'], x: 1 }),
    'an empty crit': forge(claims(), { crit: [] }),
    'no exp': forge(claims({ exp: undefined })),
    'exp: null': forge(claims({ exp: null })),
    'exp: text': forge(claims({ exp: String(NOW_S + 3600) })),
    'exp: a list': forge(claims({ exp: [NOW_S + 3600] })),
    'exp: true': forge(claims({ exp: true })),
    'exp: negative': forge(claims({ exp: -1 })),
    'exp: too large for a number': forge(`{"sub":"alice","exp":1e999}`),
    'exp: in milliseconds': forge(claims({ exp: NOW + 3_600_000 })),
    'nbf: in the future': forge(claims({ nbf: NOW_S + 60 })),
    'nbf: text': forge(claims({ nbf: '0' })),
    'iat: tomorrow': forge(claims({ iat: NOW_S + 86_400, exp: NOW_S + 90_000 })),
    'iat: an object': forge(claims({ iat: {} })),
    'iss: another': forge(claims({ iss: 'https://evil.example', aud: 'tidings' })),
    'iss: none': forge(claims({ aud: 'tidings' })),
    'iss: a list with the right one': forge(claims({ iss: ['https://issuer.example'], aud: 'tidings' })),
    'aud: another': forge(claims({ iss: 'https://issuer.example', aud: 'shop' })),
    'aud: none': forge(claims({ iss: 'https://issuer.example' })),
    'aud: an object': forge(claims({ iss: 'https://issuer.example', aud: { tidings: true } })),
    'sub: an object': forge(claims({ sub: { id: 'alice' } })),
    'sub: a list': forge(claims({ sub: ['alice'] })),
    'sub: an object beside a good user_id': forge(claims({ sub: {}, user_id: 'alice' })),
    'sub: empty': forge(claims({ sub: '' })),
    'sub: with a NUL': forge(claims({ sub: 'alice\u0000' })),
    'sub: 257 characters': forge(claims({ sub: 'a'.repeat(257) })),
    'sub: a number that is rounded': forge(`{"sub":9007199254740993,"exp":${NOW_S + 60}}`),
    'sub: missing': forge(claims({ sub: undefined })),
    'user_id: null beside a good sub': forge(claims({ user_id: null })),
    'a token of 200 KB': forge(claims({ padding: 'x'.repeat(200_000) })),
    'a token of a million dots': '.'.repeat(1_000_000),
    nothing: '',
    'two parts': `${header}.${payload}`,
    'four parts': `${good}.${signature}`,
    'five parts, like an encrypted token': `${good}.${signature}.${signature}`,
    'a changed payload': `${header}.${encode(claims({ sub: 'bob' }))}.${signature}`,
    'a signature cut short': good.slice(0, -4),
    // The last character of 43 holds four bits and two that count for nothing.
    'a signature in its other spelling': respell(good),
    'a signature with padding': `${good}=`,
    'a payload that is a list': forge([1, 2]),
    'a payload that is text': forge('"alice"'),
    'a payload that is no JSON': forge('{'),
    'a payload that is not UTF-8': forge(Buffer.from(`{"sub":"alice\xff","exp":${NOW_S + 60}}`, 'latin1')),
    'a header that is no object': forge(claims(), '"HS256"'),
  }

  const required = withJwks(jwksFile(), { secret: SECRET, issuer: 'https://issuer.example', audience: 'tidings' })
  const open = withJwks(jwksFile(), { secret: SECRET })

  for (const [name, token] of Object.entries(forgeries)) {
    test(name, async () => {
      const strict = /^(iss|aud): (another|none)$/.test(name)
      expect(await refusal(createVerifier(strict ? required : open, { now }).verify(token))).toEqual(INVALID)
    })
  }

  test('and what they were made from is good', async () => {
    const verifier = createVerifier(open, { now })
    expect((await verifier.verify(good)).userId).toBe('alice')
    const issued = forge(claims({ iss: 'https://issuer.example', aud: ['shop', 'tidings'] }))
    expect((await createVerifier(required, { now }).verify(issued)).userId).toBe('alice')
  })

  test('a refused token leaves nothing of itself in what a client is told', async () => {
    const body = await refusal(createVerifier(open, { now }).verify(forgeries['kid: a path'] ?? ''))
    expect(JSON.stringify(body)).not.toContain('passwd')
  })
})

describe('time', () => {
  test('a token ends in the very millisecond of its exp', async () => {
    let time = NOW
    const verifier = createVerifier(withSecret(), { now: () => time })
    const token = forge(claims({ exp: NOW_S + 1 }))
    time = NOW + 999
    expect((await verifier.verify(token)).expiresAt).toBe(NOW + 1000)
    time = NOW + 1000
    expect(await refusal(verifier.verify(token))).toEqual(EXPIRED)
  })

  test('a forged token that has expired is called invalid, not expired', async () => {
    const token = forge(claims({ exp: NOW_S - 1 }), {}, OTHER_SECRET)
    expect(await refusal(createVerifier(withSecret(), { now }).verify(token))).toEqual(INVALID)
  })

  test('a clock tolerance is part of the end that the session is told', async () => {
    const verifier = createVerifier(withSecret({ clock_tolerance_ms: 5000 }), { now })
    expect((await verifier.verify(forge(claims({ exp: NOW_S - 4 })))).expiresAt).toBe(NOW + 1000)
    expect(await refusal(verifier.verify(forge(claims({ exp: NOW_S - 5 }))))).toEqual(EXPIRED)
    expect((await verifier.verify(forge(claims({ nbf: NOW_S + 5 })))).userId).toBe('alice')
    expect(await refusal(verifier.verify(forge(claims({ nbf: NOW_S + 6 }))))).toEqual(INVALID)
  })

  test('a token without an end is good where the configuration says so, an odd end is not', async () => {
    const verifier = createVerifier(withSecret({ require_exp: false }), { now })
    expect(await verifier.verify(forge({ sub: 'alice' }))).toEqual({ userId: 'alice', roles: [] })
    expect(await refusal(verifier.verify(forge(claims({ exp: null }))))).toEqual(INVALID)
  })

  test('an issuer whose clock is a minute ahead is no forger', async () => {
    const verifier = createVerifier(withSecret(), { now })
    expect((await verifier.verify(forge(claims({ iat: NOW_S + 60 })))).userId).toBe('alice')
    expect(await refusal(verifier.verify(forge(claims({ iat: NOW_S + 61 }))))).toEqual(INVALID)
  })
})

describe('reload', () => {
  test('takes new options', async () => {
    const verifier = createVerifier(withSecret(), { now })
    await verifier.reload(withSecret({ secret: OTHER_SECRET }))
    expect(await refusal(verifier.verify(forge(claims())))).toEqual(INVALID)
    expect((await verifier.verify(forge(claims(), {}, OTHER_SECRET))).userId).toBe('alice')
  })

  test('that fails changes nothing', async () => {
    const path = jwksFile()
    const verifier = createVerifier(withJwks(path, { secret: SECRET }), { now })
    await verifier.reload()
    const attempts = [
      withSecret({ secret: 'short' }),
      withJwks(join(folder, 'missing.json')),
      withJwks(jwksFile({ keys: [] })),
    ]
    for (const options of attempts) await expect(verifier.reload(options)).rejects.toThrow()
    writeFileSync(path, 'not JSON')
    await expect(verifier.reload()).rejects.toThrow()
    expect((await verifier.verify(forge(claims()))).userId).toBe('alice')
    expect((await verifier.verify(forgeSigned(claims(), { alg: 'ES256', kid: 'e1' }, ec.privateKey))).userId).toBe(
      'alice',
    )
  })
})

test('with neither a secret nor a key set every token is invalid', async () => {
  const verifier = createVerifier(withNothing, { now })
  expect(await refusal(verifier.verify(forge(claims())))).toEqual(INVALID)
  expect(await refusal(verifier.verify(forgeSigned(claims(), { alg: 'EdDSA' }, ed.privateKey)))).toEqual(INVALID)
})

/** The same bytes with other spare bits in the last character. */
function respell(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(token.at(-1) ?? '')
  return token.slice(0, -1) + alphabet[last ^ 1]
}
