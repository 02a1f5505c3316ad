import { expect, test } from 'bun:test'
import { Failures } from '../../scripts/failures.ts'

test('what a failed test printed is kept with its verdict, however it is cut into pieces', () => {
  const failures = new Failures()
  const output =
    '(pass) one [1ms]\nerror: expected 1\n  found 2\n(fail) two [3ms]\nnoise\n(skip) three\n(fail) four\n\n 2 tests failed:\n(fail) two [3ms]\n(fail) four\n'
  for (const char of output) failures.take(char)
  expect(failures.found).toEqual(['error: expected 1\n  found 2\n(fail) two [3ms]', '(fail) four'])
})

test('colours do not hide a verdict', () => {
  const failures = new Failures()
  failures.take('\u001b[31m(fail)\u001b[0m one\n')
  expect(failures.found).toHaveLength(1)
})

test('of a long output the end is kept', () => {
  const failures = new Failures()
  for (let line = 0; line < 1000; line++) failures.take(`line ${line}\n`)
  failures.take('(fail) one\n')
  expect(failures.found[0]).toEndWith('line 999\n(fail) one')
  expect(failures.found[0]?.split('\n').length).toBeLessThan(100)
})
