import { describe, expect, test } from 'bun:test'
import { Site, until } from './support.ts'

const DAY = 86_400_000

describe("a room's stored state", () => {
  test('is what the patches made of it, with a version that grows', async () => {
    await using site = new Site()
    const { states } = site.open()
    expect(await states.get('r')).toBeUndefined()
    expect(await states.patch('r', { a: 1, b: { c: 2 } }, undefined)).toEqual({
      state: { a: 1, b: { c: 2 } },
      version: 1,
    })
    expect(await states.patch('r', { a: null, b: { d: 3 } }, 1)).toEqual({ state: { b: { c: 2, d: 3 } }, version: 2 })
    expect(await states.get('r')).toEqual({ state: { b: { c: 2, d: 3 } }, version: 2 })
  })

  test('is there after a restart', async () => {
    await using site = new Site()
    const first = site.open()
    await first.states.patch('r', { a: 1 }, undefined)
    await first.close()
    expect(await site.open().states.get('r')).toEqual({ state: { a: 1 }, version: 1 })
  })

  test('of a wrong version is refused, and costs others in the same turn nothing', async () => {
    await using site = new Site()
    const { states } = site.open()
    const outcomes = await Promise.allSettled([
      states.patch('r', { a: 1 }, 0),
      states.patch('r', { a: 2 }, 0),
      states.patch('s', { a: 3 }, undefined),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { errorName: 'version_conflict', details: { version: 1 } } })
    expect(site.events()).toEqual([])
  })

  test('that would be too large is refused', async () => {
    await using site = new Site()
    const { states } = site.open({ maxStateBytes: 20 })
    const [refused] = await Promise.allSettled([states.patch('r', { text: 'x'.repeat(20) }, undefined)])
    expect(refused).toMatchObject({ reason: { errorName: 'payload_too_large' } })
    expect(await states.get('r')).toBeUndefined()
  })

  test('keeps keys that are named like a prototype', async () => {
    await using site = new Site()
    const { states } = site.open()
    await states.patch('__proto__', JSON.parse('{"__proto__":{"x":1}}'), undefined)
    expect(JSON.stringify((await states.get('__proto__'))?.state)).toBe('{"__proto__":{"x":1}}')
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })
})

describe('the state of an abandoned room', () => {
  const fast = { housekeepingMs: 1 }

  test('is dropped a day after the last one left', async () => {
    await using site = new Site()
    const { states } = site.open(fast)
    states.occupied('r', true)
    await states.patch('r', { a: 1 }, undefined)
    states.occupied('r', false)
    await states.patch('later', {}, undefined)
    site.clock.passed += DAY - 60_000
    await states.patch('later', {}, undefined)
    expect(await states.get('r')).toBeDefined()
    site.clock.passed += 120_000
    await until(() => states.get('r') === undefined)
    expect(await states.get('later')).toBeDefined()
  })

  test('stays as long as somebody is there', async () => {
    await using site = new Site()
    const { states } = site.open(fast)
    await states.patch('empty', { a: 1 }, undefined)
    await states.patch('r', { a: 1 }, undefined)
    states.occupied('r', true)
    await states.patch('s', { a: 1 }, undefined)
    site.clock.passed += 2 * DAY
    await until(() => states.get('empty') === undefined)
    expect(await states.get('r')).toBeDefined()
  })

  test('is dropped a day after a crash in which nobody could leave', async () => {
    await using site = new Site()
    const first = site.open(fast)
    first.states.occupied('r', true)
    await first.states.patch('r', { a: 1 }, undefined)
    await first.close()
    site.clock.passed += 3 * DAY
    const { states } = site.open(fast)
    expect(await states.get('r')).toBeDefined()
    site.clock.passed += DAY + 1000
    await until(() => states.get('r') === undefined)
  })
})
