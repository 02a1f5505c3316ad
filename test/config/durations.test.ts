import { expect, test } from 'bun:test'
import { formatDuration, parseDuration } from '../../src/config/durations.ts'

test('a duration is a whole number and a unit', () => {
  expect(['500ms', '30s', '15m', '1h', '7d', '0s'].map(parseDuration)).toEqual([
    500, 30_000, 900_000, 3_600_000, 604_800_000, 0,
  ])
})

test('anything else is none', () => {
  for (const text of ['', '7', 'd', '1.5h', '-1s', '1 h', '1w', '1H', '999999999999d', '1h30m']) {
    expect([text, parseDuration(text)]).toEqual([text, undefined])
  }
})

test('a duration is written in the largest unit that fits, and reads back as itself', () => {
  expect([0, 1, 1500, 90_000, 3_600_000, 172_800_000].map(formatDuration)).toEqual([
    '0s',
    '1ms',
    '1500ms',
    '90s',
    '1h',
    '2d',
  ])
  for (const value of [0, 1, 1500, 90_000, 604_800_000]) expect(parseDuration(formatDuration(value))).toBe(value)
})
