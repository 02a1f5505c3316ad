import { expect, test } from 'bun:test'
import { claimPorts } from '../../src/cli/workers/claim-ports.ts'
import { configFrom } from '../../src/config.ts'
import { testConfig } from '../../src/testing/server.ts'
import { tidings } from './support.ts'

test('workers without a Redis to hear each other over are refused, with how to name one', async () => {
  const { code, out, err } = await tidings(['serve', '--workers=2', '--port=0'])
  expect([code, out]).toEqual([1, ''])
  expect(err.split('\n')).toEqual([
    'tidings: one problem with the settings',
    '  --workers: expected redis.url, over which workers hear each other, found none; set TIDINGS_REDIS_URL or --redis.url',
  ])
})

test.each(['0', '-1', '1.5', 'two', '257', ''])('%p is no number of workers', async (number) => {
  const { code, err } = await tidings(['serve', `--workers=${number}`, '--redis.url=redis://127.0.0.1:1'])
  expect(code).toBe(1)
  expect(err).toContain(`--workers: expected a whole number from 1 to 256, found ${JSON.stringify(number)}`)
})

test('one process is watched, not many', async () => {
  const { code, err } = await tidings(['serve', '--dev', '--watch', '--app=app.ts', '--workers=2'])
  expect(code).toBe(1)
  expect(err).toContain('--watch: expected one process, found --workers')
})

test('what workers are started with is of no use alone', async () => {
  const { code, err } = await tidings(['serve', '--worker=1'])
  expect([code, err]).toEqual([1, expect.stringContaining('give --workers NUMBER')])
})

test('ports that are left to the system are chosen once, for all', async () => {
  const given = { redis: { url: 'redis://127.0.0.1:1' }, admin: { listen: '[::1]:0' } }
  const config = configFrom(testConfig(given), 'development')
  const claimed = await claimPorts(config)
  expect(claimed.server.port).toBeGreaterThan(0)
  expect(claimed.admin.listen).toMatch(/^\[::1\]:[1-9]\d*$/)
  // Given back: workers listen there next.
  expect(await claimPorts(claimed)).toEqual(claimed)
  const port = Number(claimed.admin.listen?.split(':').at(-1))
  using _taken = Bun.serve({ hostname: '::1', port, fetch: () => new Response() })
  await expect(claimPorts(claimed)).rejects.toThrow(/\(admin\.listen\): the port is in use/)
})
