import { expect, test } from 'bun:test'
import { printConfig } from '../../src/config/print.ts'
import { configFrom } from '../../src/config.ts'
import { files, load, SECRET } from './support.ts'

test('secrets are masked, durations have their unit, a URL keeps its host', () => {
  const printed = printConfig(
    configFrom(
      {
        auth: {
          secret: SECRET,
          previous_secrets: [`${SECRET}2`],
          jwks: 'https://user:pass@keys.example/jwks.json?token=pass',
        },
        admin: { keys: [`${SECRET}3`] },
        redis: { url: 'rediss://user:pass@redis.example:6380/1?token=pass' },
        rooms: [{ pattern: 'a', history: { max_age: '2h' } }],
      },
      'production',
    ),
  )
  const { auth, admin, redis, inbox, rooms } = JSON.parse(printed)
  expect([auth.secret, auth.previous_secrets, admin.keys]).toEqual(['***', ['***'], ['***']])
  expect(auth.jwks).toBe('https://***:***@keys.example/jwks.json?***')
  expect(redis.url).toBe('rediss://***:***@redis.example:6380/1?***')
  expect([inbox.max_age, rooms[0].history.max_age]).toEqual(['7d', '2h'])
  for (const secret of [SECRET, 'pass']) expect(printed).not.toContain(secret)
})

test('what is printed can be read again, but for the secrets', () => {
  const { auth, ...printed } = JSON.parse(printConfig(configFrom({ auth: { secret: SECRET } }, 'production')))
  using folder = files({ 'printed.json': JSON.stringify({ ...printed, auth: { ...auth, secret: SECRET } }) })
  expect(load({ file: folder.path('printed.json') }).config).toEqual(
    configFrom({ auth: { secret: SECRET } }, 'production'),
  )
})
