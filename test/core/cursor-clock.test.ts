import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { CursorClock } from '../../src/core/cursor-clock.ts'

const SOME_TIME = Date.UTC(2026, 0, 1)

/** A monotonic clock that a test moves. */
function stopwatch(): { ms: number } & (() => number) {
  const clock = Object.assign(() => clock.ms, { ms: 0 })
  return clock
}

test('a cursor is the time in microseconds: the wall clock at the start and what has passed since', () => {
  const monotonic = stopwatch()
  monotonic.ms = 1000
  const clock = new CursorClock({ wallMs: SOME_TIME, monotonic, last: 0 })
  monotonic.ms = 1000.25
  expect(clock.next()).toBe(SOME_TIME * 1000 + 250)
})

test('in one and the same microsecond cursors follow each other', () => {
  const clock = new CursorClock({ wallMs: SOME_TIME, monotonic: stopwatch(), last: 0 })
  const first = clock.next()
  expect([clock.next(), clock.next(), clock.last]).toEqual([first + 1, first + 2, first + 2])
})

test('cursors go on after the last one where the wall clock is behind it', () => {
  const last = SOME_TIME * 1000 + 7_000_000
  const clock = new CursorClock({ wallMs: SOME_TIME, monotonic: stopwatch(), last })
  expect(clock.aheadMs()).toBe(7000)
  expect(clock.next()).toBe(last + 1)
})

test('whatever the clocks do, over any number of restarts, every cursor is greater than all before and safe', () => {
  const run = fc.record({
    wallMs: fc.nat({ max: Date.UTC(2199, 0, 1) }),
    steps: fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { maxLength: 20 }),
  })
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 5 }), (runs) => {
      let last = 0
      for (const { wallMs, steps } of runs) {
        const monotonic = stopwatch()
        const clock = new CursorClock({ wallMs, monotonic, last })
        for (const step of steps) {
          monotonic.ms += step
          const now = clock.now()
          const next = clock.next()
          expect(next).toBe(Math.max(last + 1, now))
          expect(Number.isSafeInteger(next)).toBe(true)
          last = next
        }
      }
    }),
  )
})
