import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Completeness, completeFrom, isRecoverable } from '../../src/core/recoverable.ts'

const known: Completeness = { completeSince: 100, horizon: 1000, trimmed: 0, last: 500, now: 600 }

test('a topic is complete from the last of: the birth of the log, the horizon, what was removed', () => {
  expect(completeFrom(known)).toBe(100)
  expect(completeFrom({ ...known, trimmed: 300 })).toBe(300)
  expect(completeFrom({ ...known, now: 5000 })).toBe(4000)
})

test('the position of the last removed message is still good: everything after it is there', () => {
  expect(isRecoverable(300, { ...known, trimmed: 300 })).toBe(true)
  expect(isRecoverable(299, { ...known, trimmed: 300 })).toBe(false)
})

test('a position from the future is not recoverable, except where the log itself is ahead of the clock', () => {
  expect(isRecoverable(600, known)).toBe(true)
  expect(isRecoverable(601, known)).toBe(false)
  expect(isRecoverable(800, { ...known, last: 800 })).toBe(true)
})

/** A log as the rule sees it: messages by cursor, of which the oldest were removed. */
const histories = fc.record({
  cursors: fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1 }).map((all) => all.sort((a, b) => a - b)),
  removed: fc.nat({ max: 100 }),
  forgotten: fc.boolean(),
  horizon: fc.integer({ min: 1, max: 2000 }),
  later: fc.nat({ max: 3000 }),
  position: fc.nat({ max: 5000 }),
})

test('a position is never called recoverable when a message after it is gone', () => {
  fc.assert(
    fc.property(histories, ({ cursors, removed, forgotten, horizon, later, position }) => {
      const last = cursors.at(-1) ?? 0
      const now = last + later
      const gone = cursors.slice(0, removed)
      const trimmed = gone.at(-1) ?? 0
      // A log forgets what it removed once that is older than the horizon and nothing is left.
      const mayForget = gone.length === cursors.length && trimmed < now - horizon
      const completeness = { completeSince: 0, horizon, trimmed: forgotten && mayForget ? 0 : trimmed, last, now }
      if (isRecoverable(position, completeness)) expect(gone.filter((cursor) => cursor > position)).toEqual([])
    }),
  )
})

test('a position within the horizon that misses nothing is always recoverable', () => {
  fc.assert(
    fc.property(histories, ({ cursors, removed, horizon, later, position }) => {
      const last = cursors.at(-1) ?? 0
      const now = last + later
      const trimmed = cursors.slice(0, removed).at(-1) ?? 0
      fc.pre(position >= trimmed && position >= now - horizon && position <= now)
      expect(isRecoverable(position, { completeSince: 0, horizon, trimmed, last, now })).toBe(true)
    }),
  )
})
