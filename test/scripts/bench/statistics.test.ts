import { expect, test } from 'bun:test'
import { median, quantile, speedRatio, summarize } from '../../../scripts/bench/statistics.ts'

test('a quantile is interpolated between the two samples around it, in any order of samples', () => {
  expect(quantile([40, 10, 30, 20], 0)).toBe(10)
  expect(quantile([40, 10, 30, 20], 1)).toBe(40)
  expect(quantile([40, 10, 30, 20], 0.5)).toBe(25)
  expect(quantile([40, 10, 30, 20], 0.75)).toBe(32.5)
  expect(quantile([0, 100], 0.99)).toBe(99)
})

test('a quantile sorts by number and leaves the samples as they were', () => {
  const samples = [100, 9, 20]
  expect(median(samples)).toBe(20)
  expect(samples).toEqual([100, 9, 20])
})

test('one sample is every quantile of itself, and none is none', () => {
  expect(summarize([7])).toEqual({ median: 7, q1: 7, q3: 7 })
  expect(quantile([], 0.5)).toBeNaN()
})

test('a summary holds the median and the quartiles', () => {
  expect(summarize([5, 1, 3, 2, 4])).toEqual({ median: 3, q1: 2, q3: 4 })
})

test('a ratio above one means faster, for rates and for times', () => {
  expect(speedRatio(200, 100, 'more')).toBe(2)
  expect(speedRatio(200, 100, 'less')).toBe(0.5)
})
