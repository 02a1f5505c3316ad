import { expect, test } from 'bun:test'
import { formatTotals, readTotals } from '../../scripts/totals.ts'

const report = (tests: number, failures: number, skipped: number): string =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" tests="${tests}" assertions="9" failures="${failures}" skipped="${skipped}" time="1">` +
  '<testsuite name="a" tests="99" failures="99" skipped="99"/></testsuites>'

test('the totals are those of the whole report', () => {
  expect(readTotals(report(10, 2, 3), 1, 0)).toEqual({ passed: 5, failed: 2, skipped: 3 })
})

test('an error outside of any test is one failure', () => {
  expect(readTotals(report(4, 0, 0), 1, 0)).toEqual({ passed: 4, failed: 1, skipped: 0 })
})

test('a runner that left no report has failed', () => {
  expect(readTotals('', 139, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test('a failed stage counts beside the tests', () => {
  expect(readTotals(report(4, 1, 0), 1, 2)).toEqual({ passed: 3, failed: 3, skipped: 0 })
})

test('the line names what was skipped only where something was', () => {
  expect(formatTotals({ passed: 4, failed: 0, skipped: 0 })).toBe('4 passed, 0 failed')
  expect(formatTotals({ passed: 4, failed: 1, skipped: 2 })).toBe('4 passed, 1 failed, 2 skipped')
})
