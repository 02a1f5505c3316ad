import { describe, expect, test } from 'bun:test'
import { Idempotency } from '../../src/core/idempotency.ts'
import { FakeClock } from '../support/clock.ts'

const WINDOW_MS = 1000

function remember() {
  const clock = new FakeClock()
  let runs = 0
  const memory = new Idempotency<unknown>(clock, WINDOW_MS)
  const once = (scope: string, id: string, run: () => unknown = () => ++runs) => memory.once(scope, id, run)
  return { clock, memory, once }
}

describe('an id', () => {
  test('runs once within its window, and anew after it', () => {
    const { clock, once } = remember()
    expect([once('a', 'x'), once('a', 'x')]).toEqual([1, 1])
    clock.advance(WINDOW_MS - 1)
    expect(once('a', 'x')).toBe(1)
    clock.advance(1)
    expect(once('a', 'x')).toBe(2)
  })

  test('belongs to its scope', () => {
    const { once } = remember()
    expect([once('a', 'x'), once('b', 'x'), once('a', 'y')]).toEqual([1, 2, 3])
  })

  test('that is under way is joined, not run again', async () => {
    const { once } = remember()
    const { promise, resolve } = Promise.withResolvers<string>()
    const first = once('a', 'x', () => promise)
    const second = once('a', 'x', () => 'another')
    resolve('one')
    expect(await Promise.all([first, second])).toEqual(['one', 'one'])
    expect(await once('a', 'x')).toBe('one')
  })

  test('whose run failed is a new attempt', async () => {
    const { once } = remember()
    expect(() =>
      once('a', 'x', () => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(once('a', 'x')).toBe(1)
    const rejected = once('a', 'y', () => Promise.reject(new Error('no'))) as Promise<unknown>
    expect(await rejected.catch(String)).toContain('no')
    expect(once('a', 'y')).toBe(2)
  })
})

test('the newest 256 ids of a scope are remembered, so that one device cannot fill the memory', () => {
  const { once } = remember()
  for (let n = 0; n < 300; n++) once('a', `id-${n}`)
  expect(once('a', 'id-299')).toBe(300)
  expect(once('a', 'id-44')).toBe(45)
  expect(once('a', 'id-43')).toBe(301)
})

test('a sweep forgets what is past its window, and scopes that are empty', () => {
  const { clock, memory, once } = remember()
  once('a', 'x')
  clock.advance(500)
  once('a', 'y')
  once('b', 'x')
  clock.advance(600)
  memory.sweep()
  expect(memory.size).toBe(2)
  clock.advance(500)
  memory.sweep()
  expect(memory.size).toBe(0)
})
