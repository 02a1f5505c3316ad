import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { backoff } from '../../src/client/backoff.ts'

const ALMOST_ONE = 1 - Number.EPSILON

test('the bound doubles from one second to half a minute', () => {
  const bounds = [1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => backoff(failures, () => ALMOST_ONE) + 1)
  expect(bounds).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('the whole range below the bound is used: a crowd is spread, not shifted', () => {
  expect(backoff(3, () => 0)).toBe(0)
  expect(backoff(3, () => 0.25)).toBe(1000)
})

test('is whole milliseconds between nothing and half a minute, however many attempts have failed', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), random, (failures, value) => {
      const ms = backoff(failures, () => value)
      expect(Number.isInteger(ms) && ms >= 0 && ms < 30_000).toBe(true)
    }),
  )
})
