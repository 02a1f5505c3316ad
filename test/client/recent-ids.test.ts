import { expect, test } from 'bun:test'
import { RecentIds } from '../../src/client/recent-ids.ts'

test('an id is new once', () => {
  const ids = new RecentIds()
  expect([ids.add('a'), ids.add('a'), ids.add('b')]).toEqual([true, false, true])
})

test('the newest two thousand are known for certain, and the old are forgotten', () => {
  const ids = new RecentIds()
  for (let index = 0; index < 10_000; index++) ids.add(String(index))
  for (let index = 8000; index < 10_000; index++) expect(ids.add(String(index))).toBe(false)
  expect(ids.add('0')).toBe(true)
})
