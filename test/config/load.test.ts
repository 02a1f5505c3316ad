import { describe, expect, test } from 'bun:test'
import { Errors } from 'typebox/value'
import { openFilesLimit } from '../../src/config/open-files.ts'
import { CONFIG_SCHEMA, configFrom, DEFAULT_ROOM_RULE, defaultConfig, loadConfig, newSecret } from '../../src/config.ts'
import { files, load, SECRET } from './support.ts'

describe('defaults', () => {
  test('production listens to everyone and shows no start page, development the reverse', () => {
    const { server, web } = defaultConfig('production')
    expect([server.host, server.port, web.start_page]).toEqual(['0.0.0.0', 3000, false])
    const development = defaultConfig('development')
    expect([development.server.host, development.web.start_page]).toEqual(['127.0.0.1', true])
  })

  test.each(['development', 'production'] as const)('the defaults of %s fit the schema', (mode) => {
    expect([...Errors(CONFIG_SCHEMA, defaultConfig(mode))]).toEqual([])
  })

  test('durations are milliseconds once loaded', () => {
    expect(defaultConfig('production').inbox).toEqual({ max_messages: 1000, max_age: 7 * 24 * 3600 * 1000 })
  })

  test('connections take nine tenths of the open files', () => {
    expect(defaultConfig('production').limits.total).toBe(Math.floor(openFilesLimit() * 0.9))
  })

  test('a key without a default is absent', () => {
    const { auth, redis, admin } = defaultConfig('production')
    expect(['secret' in auth, 'jwks' in auth, 'cookie' in auth, 'url' in redis, 'listen' in admin]).toEqual(
      Array.from({ length: 5 }, () => false),
    )
  })

  test('no two configurations share a list', () => {
    defaultConfig('production').server.allowed_origins.push('https://evil.example')
    expect(defaultConfig('production').server.allowed_origins).toEqual([])
  })

  test('the rule for rooms without a rule is what the schema says', () => {
    expect(configFrom({ rooms: [{ pattern: '*' }] }, 'development').rooms).toEqual([DEFAULT_ROOM_RULE])
  })

  test('every key has words and, unless it may be absent, a default', () => {
    const keys = Object.values(CONFIG_SCHEMA.properties).flatMap((section) =>
      'properties' in section ? Object.entries<Record<string, unknown>>(section.properties as never) : [],
    )
    expect(keys.length).toBeGreaterThan(50)
    for (const [name, { description, reason }] of keys) {
      expect([name, typeof description, typeof reason]).toEqual([name, 'string', 'string'])
    }
  })
})

describe('the secret of development', () => {
  test('is made at every start, and is another one each time', () => {
    const first = loadConfig({ env: {}, flags: {}, mode: 'development' })
    const second = loadConfig({ env: {}, flags: {}, mode: 'development' })
    expect([first.secretGenerated, first.config.auth.algorithms]).toEqual([true, ['HS256']])
    expect(first.config.auth.secret).not.toBe(second.config.auth.secret as string)
  })

  test('is not made where a secret or a JWKS is configured', () => {
    expect(load({ mode: 'development' }).secretGenerated).toBe(false)
    const { config, secretGenerated } = loadConfig({
      env: { TIDINGS_AUTH_JWKS: './keys.json' },
      flags: {},
      mode: 'development',
    })
    expect([secretGenerated, config.auth.secret, config.auth.algorithms]).toEqual([
      false,
      undefined,
      ['RS256', 'ES256', 'EdDSA'],
    ])
  })

  test('a new secret is 48 random bytes in a safe alphabet', () => {
    expect(newSecret()).toMatch(/^[A-Za-z0-9_-]{64}$/)
    expect(newSecret()).not.toBe(newSecret())
  })
})

describe('sources', () => {
  const toml = `
[server]
port = 1000
allowed_origins = ["https://a.example", "https://b.example"]
[limits]
per_user = 7
[inbox]
max_age = "90m"
[[rooms]]
pattern = "staff:*"
join = "role:staff"
history = { max_messages = 20 }
`
  const yaml = `
server:
  port: 1000
  allowed_origins: [https://a.example, https://b.example]
limits: { per_user: 7 }
inbox:
  max_age: 90m
  max_messages:
rooms:
  - { pattern: 'staff:*', join: 'role:staff', history: { max_messages: 20 } }
`
  const json = JSON.stringify({
    server: { port: 1000, allowed_origins: ['https://a.example', 'https://b.example'] },
    limits: { per_user: 7 },
    inbox: { max_age: '90m' },
    rooms: [{ pattern: 'staff:*', join: 'role:staff', history: { max_messages: 20 } }],
  })

  test.each([
    ['toml', toml],
    ['yaml', yaml],
    ['yml', yaml],
    ['json', json],
  ])('a .%s file says the same in its own words', (ending, text) => {
    using folder = files({ [`tidings.${ending}`]: text })
    const { config } = load({ file: folder.path(`tidings.${ending}`) })
    expect({
      port: config.server.port,
      origins: config.server.allowed_origins,
      perUser: config.limits.per_user,
      maxAge: config.inbox.max_age,
      maxMessages: config.inbox.max_messages,
      rooms: config.rooms,
    }).toEqual({
      port: 1000,
      origins: ['https://a.example', 'https://b.example'],
      perUser: 7,
      maxAge: 90 * 60 * 1000,
      maxMessages: 1000,
      rooms: [
        {
          ...DEFAULT_ROOM_RULE,
          pattern: 'staff:*',
          join: 'role:staff',
          history: { max_messages: 20, max_age: 3_600_000 },
        },
      ],
    })
  })

  test('flags cover the environment, which covers the file; what each leaves alone stays', () => {
    using folder = files({ 'tidings.toml': '[limits]\nper_user = 1\nper_ip = 1\nmax_rooms = 1' })
    const { config } = load({
      file: folder.path('tidings.toml'),
      env: { TIDINGS_LIMITS_PER_USER: '2', TIDINGS_LIMITS_PER_IP: '2' },
      flags: { 'limits.per_user': '3' },
    })
    expect([config.limits.per_user, config.limits.per_ip, config.limits.max_rooms]).toEqual([3, 2, 1])
  })

  test('TIDINGS_CONFIG names the file where no flag does', () => {
    using folder = files({ 'a.toml': '[server]\nport = 1', 'b.toml': '[server]\nport = 2' })
    const env = { TIDINGS_CONFIG: folder.path('a.toml') }
    expect(load({ env }).config.server.port).toBe(1)
    expect(load({ env, file: folder.path('b.toml') }).config.server.port).toBe(2)
  })

  test('lists in variables and flags are separated by commas, rooms are JSON', () => {
    const { config } = load({
      env: { TIDINGS_SERVER_TRUSTED_PROXIES: '10.0.0.0/8, ::1 ,', TIDINGS_ROOMS: '[{"pattern":"a","exclusive":true}]' },
      flags: { 'server.allowed_origins': 'https://a.example,https://b.example' },
    })
    expect(config.server.trusted_proxies).toEqual(['10.0.0.0/8', '::1'])
    expect(config.server.allowed_origins).toEqual(['https://a.example', 'https://b.example'])
    expect(config.rooms).toEqual([{ ...DEFAULT_ROOM_RULE, pattern: 'a', exclusive: true }])
    expect([...Errors(CONFIG_SCHEMA, config)]).toEqual([])
  })

  test('an empty variable counts as unset', () => {
    expect(load({ env: { TIDINGS_SERVER_PORT: '', TIDINGS_LIMITS_PER_USR: '' } }).config.server.port).toBe(3000)
  })

  test('a variable that ends in _FILE holds the path of the value, whose last line break is none of it', () => {
    using folder = files({ secret: `${SECRET}\n` })
    const { config } = load({
      env: { TIDINGS_AUTH_SECRET: undefined, TIDINGS_AUTH_SECRET_FILE: folder.path('secret') },
    })
    expect(config.auth.secret).toBe(SECRET)
  })

  test('--port is short for --server.port', () => {
    expect(load({ flags: { port: '0' } }).config.server.port).toBe(0)
  })

  test('0 switches a limit off', () => {
    expect(load({ flags: { 'limits.per_user': '0' } }).config.limits.per_user).toBe(0)
  })

  test('variables that Kubernetes sets for a service called tidings are nobody’s configuration', () => {
    const env = {
      TIDINGS_SERVICE_HOST: '10.0.0.1',
      TIDINGS_SERVICE_PORT: '3000',
      TIDINGS_SERVICE_PORT_HTTP: '3000',
      TIDINGS_PORT: 'tcp://10.0.0.1:3000',
      TIDINGS_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
      TIDINGS_PORT_3000_TCP_ADDR: '10.0.0.1',
      TIDINGS_SERVER_PORT: 'tcp://10.0.0.1:3000',
      TIDINGS_ENV: 'production',
      TIDINGS_COMMIT: 'abc',
    }
    expect(load({ env }).config.server.port).toBe(3000)
  })
})

describe('a program’s own values', () => {
  test('are put over the defaults', () => {
    const config = configFrom(
      { auth: { secret: SECRET }, session: { resume_ms: 5 }, inbox: { max_age: '1d' } },
      'production',
    )
    expect([config.session.resume_ms, config.inbox.max_age, config.poll.grace_ms]).toEqual([5, 86_400_000, 30_000])
  })

  test('need no key where the program identifies its users itself', () => {
    expect(configFrom({}, 'production', { keysOptional: true }).auth.algorithms).toEqual([])
  })
})

test('the limit of open files is the soft one; where nobody says, the usual one', () => {
  const limits = (soft: string) =>
    `Limit   Soft Limit  Hard Limit  Units\nMax open files            ${soft}     524288   files`
  expect(openFilesLimit(() => limits('20000'))).toBe(20_000)
  expect(openFilesLimit(() => limits('unlimited'))).toBe(1_048_576)
  expect(openFilesLimit(() => 'Max processes 1 1')).toBe(1024)
  expect(
    openFilesLimit(() => {
      throw new Error('no /proc')
    }),
  ).toBe(1024)
})
