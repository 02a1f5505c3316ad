import { describe, expect, test } from 'bun:test'
import { ConfigError, configFrom } from '../../src/config.ts'
import { files, load, problemsOf, SECRET } from './support.ts'

const FRESH = 'run `tidings token --new-secret` for a fresh one'

describe('a problem says where, what was expected and what was found', () => {
  test.each<[what: string, Parameters<typeof problemsOf>[0], problem: string]>([
    [
      'a flag with a bad number',
      { flags: { port: '70000' } },
      '--port: expected a whole number from 0 to 65535, found "70000"',
    ],
    [
      'a variable with a bad number',
      { env: { TIDINGS_LIMITS_PER_USER: '-1' } },
      'TIDINGS_LIMITS_PER_USER: expected a whole number of at least 0, found "-1"',
    ],
    [
      'a word that is none of the words',
      { flags: { 'store.durability': 'maybe' } },
      '--store.durability: expected process or full, found "maybe"',
    ],
    [
      'a flag without a value',
      { flags: { 'auth.require_exp': undefined } },
      '--auth.require_exp: expected true or false, found nothing',
    ],
    [
      'an unknown flag',
      { flags: { 'limits.per_usr': '1' } },
      '--limits.per_usr: expected a known key, found "limits.per_usr"; did you mean limits.per_user?',
    ],
    [
      'an unknown variable',
      { env: { TIDINGS_SERVER_PROT: '1' } },
      'TIDINGS_SERVER_PROT: expected a known key, found "TIDINGS_SERVER_PROT"; did you mean TIDINGS_SERVER_PORT?',
    ],
    [
      'an origin that is an address of a page',
      { flags: { 'server.allowed_origins': 'https://a.example/chat' } },
      '--server.allowed_origins: expected an origin such as https://app.example.com, or *, found "https://a.example/chat"',
    ],
    [
      'a network with too many bits',
      { flags: { 'server.trusted_proxies': '10.0.0.0/33' } },
      '--server.trusted_proxies: expected an IP address or a CIDR such as 10.0.0.0/8, found "10.0.0.0/33"',
    ],
    ['rooms that are no JSON', { env: { TIDINGS_ROOMS: '[{' } }, 'TIDINGS_ROOMS: expected a list of rules, found "[{"'],
    [
      'a rule without a pattern',
      { env: { TIDINGS_ROOMS: '[{"join":"any"}]' } },
      'TIDINGS_ROOMS[0].pattern: expected a room name in which * is any run of characters, found nothing',
    ],
    [
      'a file for a value that is not there',
      { env: { TIDINGS_REDIS_URL_FILE: '/nowhere/at/all' } },
      'TIDINGS_REDIS_URL_FILE: expected a file that can be read, found /nowhere/at/all (ENOENT)',
    ],
    [
      'a value both given and in a file',
      { env: { TIDINGS_AUTH_SECRET_FILE: '/nowhere/at/all' } },
      'TIDINGS_AUTH_SECRET_FILE: expected this or TIDINGS_AUTH_SECRET, found both',
    ],
    [
      'a configuration file that is not there',
      { file: '/nowhere/tidings.toml' },
      '--config: expected a file that can be read, found /nowhere/tidings.toml (ENOENT)',
    ],
    // What could not be read may well hold the secret: that one is missing nobody knows.
    [
      'a secret in a file that is not there',
      { env: { TIDINGS_AUTH_SECRET: '', TIDINGS_AUTH_SECRET_FILE: '/nowhere/at/all' } },
      'TIDINGS_AUTH_SECRET_FILE: expected a file that can be read, found /nowhere/at/all (ENOENT)',
    ],
    [
      'all settings in a file that is not there',
      { env: { TIDINGS_AUTH_SECRET: '' }, file: '/nowhere/tidings.toml' },
      '--config: expected a file that can be read, found /nowhere/tidings.toml (ENOENT)',
    ],
    [
      'a configuration file in another language',
      { file: '/nowhere/tidings.ini' },
      '--config: expected a file that ends in .toml, .yaml, .yml or .json, found /nowhere/tidings.ini',
    ],
    [
      'a client lost between two pings',
      { flags: { 'heartbeat.timeout_ms': '20000' } },
      '--heartbeat.timeout_ms: expected more than heartbeat.interval_ms, which is 25000, found 20000; between two pings every idle client would be lost',
    ],
  ])('%s', (_what, sources, problem) => {
    expect(problemsOf(sources)).toEqual([problem])
  })

  test('in a file, with the path of the file and the key', () => {
    using folder = files({
      'tidings.yaml':
        'server: { prot: 1 }\ninbox: { max_age: 7 }\nrooms: [{ pattern: a, history: { max_age: 1x } }]\nlogs: 1',
    })
    const file = folder.path('tidings.yaml')
    const duration = 'expected a duration with a unit, such as 500ms, 30s, 15m, 1h or 7d'
    expect(problemsOf({ file })).toEqual([
      `${file}:server.prot: expected a known key, found "prot"; did you mean port?`,
      `${file}:inbox.max_age: ${duration}, found 7`,
      `${file}:rooms[0].history.max_age: ${duration}, found "1x"`,
      `${file}:logs: expected a known key, found "logs"; did you mean log?`,
    ])
  })

  test('a key that is like no other is answered with those there are', () => {
    expect(problemsOf({ env: { TIDINGS_ROOMS: '[{"pattern":"a","zzzzzz":1}]' } })).toEqual([
      'TIDINGS_ROOMS[0].zzzzzz: expected a known key, found "zzzzzz"; known are pattern, join, publish, state, presence, history, exclusive and slow_consumer',
    ])
  })

  test('a file that does not parse is one problem, whatever its language', () => {
    using folder = files({ 'a.toml': 'port = = 1', 'a.yaml': 'a: [1', 'a.json': '{', 'a.yml': 'just text' })
    for (const name of ['a.toml', 'a.yaml', 'a.json', 'a.yml']) {
      const [problem = '', ...more] = problemsOf({ file: folder.path(name) })
      expect([name, problem.startsWith(folder.path(name)), problem.includes('expected'), more]).toEqual([
        name,
        true,
        true,
        [],
      ])
    }
  })

  test('a file with nothing in it changes nothing', () => {
    using folder = files({ 'a.toml': '# nothing\n', 'a.yaml': '# nothing\n', 'b.yaml': 'server:\n' })
    for (const name of ['a.toml', 'a.yaml', 'b.yaml']) expect(problemsOf({ file: folder.path(name) })).toEqual([])
  })

  test('all of them are said at once', () => {
    using folder = files({ 'tidings.toml': '[server]\nport = "x"\n[bogus]\n' })
    const problems = problemsOf({
      file: folder.path('tidings.toml'),
      env: { TIDINGS_LIMITS_BURST: 'x', TIDINGS_AUTH_SECRET: 'short' },
      flags: { 'log.level': 'loud' },
    })
    expect(problems.map((problem) => problem.split(':').slice(0, 2).at(-1)?.trim().split(' ')[0])).toEqual([
      'server.port',
      'bogus',
      'expected',
      'expected',
      'expected',
    ])
    expect(problems).toHaveLength(5)
  })

  test('names of the prototype are keys like any other', () => {
    using folder = files({ 'a.json': '{"__proto__": {"polluted": 1}, "constructor": 1, "server": {"__proto__": 1}}' })
    expect(problemsOf({ file: folder.path('a.json') })).toHaveLength(3)
    expect(problemsOf({ flags: { constructor: '1', 'server.toString': '1' } })).toHaveLength(2)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('keys to verify tokens with', () => {
  const missing =
    'auth.secret: expected a secret or auth.jwks in production, found neither; set TIDINGS_AUTH_SECRET to the output of `tidings token --new-secret`, or auth.jwks'

  test('production without any is refused, with the line that helps', () => {
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: '' } })).toEqual([missing])
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: '' }, mode: 'development' })).toEqual([])
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: '' }, keysOptional: true })).toEqual([])
    expect(() => configFrom({}, 'production')).toThrow(new ConfigError([missing]))
  })

  test.each(['production', 'development'] as const)('a secret under 32 bytes is refused in %s', (mode) => {
    const short = SECRET.slice(0, 31)
    const env = { TIDINGS_AUTH_SECRET: short, TIDINGS_AUTH_PREVIOUS_SECRETS: `${SECRET},${short}` }
    expect(problemsOf({ mode, env })).toEqual([
      `TIDINGS_AUTH_SECRET: expected a secret of at least 32 bytes, found 31; ${FRESH}`,
      `TIDINGS_AUTH_PREVIOUS_SECRETS: expected a secret of at least 32 bytes, found 31; ${FRESH}`,
    ])
  })

  test('32 bytes are enough, counted as bytes', () => {
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: SECRET.slice(0, 32) } })).toEqual([])
    expect(problemsOf({ mode: 'development', env: { TIDINGS_AUTH_SECRET: 'ü'.repeat(16) } })).toEqual([])
  })

  test.each([
    'changeme'.repeat(4),
    'secret'.repeat(6),
    'your-super-secret-jwt-key-change-in-production',
    'a-string-secret-at-least-256-bits-long',
    'this_is_a_very_long_secret_key_for_development_only',
    '0123456789'.repeat(4),
    'abcabcabcabcabcabcabcabcabcabcabcabc',
    'x'.repeat(64),
  ])('a well-known secret is refused outside development: %s', (secret) => {
    const problem = `TIDINGS_AUTH_SECRET: expected a random value, found a well-known or repetitive one; ${FRESH}`
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: secret } })).toEqual([problem])
    expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: secret }, mode: 'development' })).toEqual([])
  })

  test('no random secret is taken for a well-known one', () => {
    for (let round = 0; round < 500; round += 1) {
      const bytes = crypto.getRandomValues(Buffer.alloc(32))
      for (const secret of [bytes.toString('hex'), bytes.toString('base64'), crypto.randomUUID()]) {
        expect(problemsOf({ env: { TIDINGS_AUTH_SECRET: secret } })).toEqual([])
      }
    }
  })

  test('an admin key has at least 32 characters, and is no well-known one', () => {
    expect(problemsOf({ env: { TIDINGS_ADMIN_KEYS: `${SECRET},tooshort` } })).toEqual([
      'TIDINGS_ADMIN_KEYS: expected a key of at least 32 characters, found a text of 8 characters',
    ])
    expect(problemsOf({ env: { TIDINGS_ADMIN_KEYS: 'admin-secret'.repeat(3) } })).toEqual([
      `TIDINGS_ADMIN_KEYS: expected a random value, found a well-known or repetitive one; ${FRESH}`,
    ])
  })

  test.each<[algorithms: string, env: Record<string, string>, problem: string]>([
    ['RS256,HS256', {}, 'expected auth.jwks for RS256, found none'],
    ['ES256', { TIDINGS_AUTH_JWKS: 'k.json' }, 'expected HS256, HS384 or HS512 for auth.secret, found ES256'],
    ['HS512', { TIDINGS_AUTH_JWKS: 'k.json' }, 'expected RS256, ES256 or EdDSA for auth.jwks, found HS512'],
    [
      'HS256,EdDSA',
      { TIDINGS_AUTH_SECRET: '', TIDINGS_AUTH_JWKS: 'k.json' },
      'expected auth.secret for HS256, found none',
    ],
  ])('algorithms fit the keys: %s', (algorithms, env, problem) => {
    expect(problemsOf({ env, flags: { 'auth.algorithms': algorithms } })).toEqual([`--auth.algorithms: ${problem}`])
  })

  test('an algorithm that is none of the allowed is refused, above all "none"', () => {
    expect(problemsOf({ flags: { 'auth.algorithms': 'none' } })).toEqual([
      '--auth.algorithms: expected HS256, HS384, HS512, RS256, ES256 or EdDSA, found "none"',
    ])
  })

  test('with a secret and a JWKS each has its algorithms', () => {
    expect(load({ env: { TIDINGS_AUTH_JWKS: 'https://id.example/jwks' } }).config.auth.algorithms).toEqual([
      'HS256',
      'RS256',
      'ES256',
      'EdDSA',
    ])
  })
})

describe('the value of a secret key is in no problem', () => {
  const canary = 'canary-4711'

  test('however it is wrong and wherever it stands', () => {
    using folder = files({
      'a.toml': `[auth]\nsecret = "${canary}"\nprevious_secrets = ["${canary}"]\n[admin]\nkeys = ["${canary}"]\n[redis]\nurl = "${canary}"`,
      'b.yaml': `auth: ${canary}\nadmin: { keys: ${canary} }`,
      'c.json': `{"auth": {"secret": ${canary}}}`,
      'd.toml': `[auth]\nsecret = ${canary}`,
      'e.yaml': `auth:\n  secret: "${canary}\n`,
      'f.json': `{"auth": {"secret": ["${canary}"]}, "admin": {"keys": [["${canary}"]]}}`,
    })
    for (const name of ['a.toml', 'b.yaml', 'c.json', 'd.toml', 'e.yaml', 'f.json']) {
      const problems = problemsOf({ file: folder.path(name), env: { TIDINGS_AUTH_SECRET: '' } })
      expect(problems.length).toBeGreaterThan(0)
      expect(problems.join('\n')).not.toContain(canary)
    }
    const env = {
      TIDINGS_AUTH_SECRET: canary,
      TIDINGS_AUTH_PREVIOUS_SECRETS: `${canary},${canary}`,
      TIDINGS_ADMIN_KEYS: canary,
      TIDINGS_REDIS_URL: canary,
    }
    expect(problemsOf({ env })).toHaveLength(5)
    expect(problemsOf({ env }).join('\n')).not.toContain(canary)
    expect(problemsOf({ flags: { 'redis.url': canary } }).join('\n')).not.toContain(canary)
  })
})

test('a long value is cut', () => {
  const [problem = ''] = problemsOf({ flags: { port: '9'.repeat(10_000) } })
  expect(problem.length).toBeLessThan(150)
})
