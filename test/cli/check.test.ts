import { expect, test } from 'bun:test'
import { configReference } from '../../src/config/reference.ts'
import { files } from '../config/support.ts'
import { SECRET, tidings } from './support.ts'

test('a good configuration exits with 0', async () => {
  using folder = files({ 'tidings.toml': '[limits]\nper_user = 7' })
  expect(await tidings(['check', '--config', folder.path('tidings.toml'), '--port=0'])).toEqual({
    code: 0,
    out: 'The configuration is good.',
    err: '',
  })
})

test('a bad one exits with 1 and says every problem', async () => {
  using folder = files({ 'tidings.toml': '[limits]\nper_user = "seven"' })
  const file = folder.path('tidings.toml')
  const { code, out, err } = await tidings(['check', `--config=${file}`, '--log.level', 'loud'])
  expect([code, out]).toEqual([1, ''])
  expect(err.split('\n')).toEqual([
    'tidings: 2 problems with the settings',
    `  ${file}:limits.per_user: expected a whole number of at least 0, found "seven"`,
    '  --log.level: expected debug, info, warn or error, found "loud"',
  ])
})

test('production without a secret is refused; development makes one', async () => {
  const none = { TIDINGS_AUTH_SECRET: '' }
  const refused = await tidings(['check'], none)
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('tidings token --new-secret')])
  expect((await tidings(['check', '--dev'], none)).code).toBe(0)
  expect((await tidings(['check'], { ...none, TIDINGS_ENV: 'development' })).code).toBe(0)
  expect((await tidings(['check'], { ...none, TIDINGS_ENV: 'developement' })).code).toBe(1)
})

test('--explain prints the reference, whatever the configuration', async () => {
  const { code, out } = await tidings(['check', '--explain'], { TIDINGS_AUTH_SECRET: '' })
  expect([code, `${out}\n`]).toEqual([0, configReference()])
})

test('serve --print-config shows what all sources amount to, and no secret', async () => {
  const { code, out } = await tidings(['serve', '--print-config', '--port=4000'], { TIDINGS_INBOX_MAX_AGE: '2d' })
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ server: { port: 4000 }, inbox: { max_age: '2d' }, auth: { secret: '***' } })
  expect(out).not.toContain(SECRET)
})
