import { describe, expect, test } from 'bun:test'
import { type RateLimited, RateLimiter, type RateLimits } from '../../src/core/rate-limit.ts'

const LIMITS: RateLimits = { messagesPerSecond: 10, burst: 20, bytesPerSecond: 1000, maxMessageBytes: 500 }

function sender(limits: Partial<RateLimits> = {}) {
  const limiter = new RateLimiter({ ...LIMITS, ...limits })
  const state: RateLimited = { rate: undefined }
  return { state, take: (bytes: number, now: number) => limiter.take(state, bytes, now) }
}

const kinds = (count: number, take: () => { kind: string }) => Array.from({ length: count }, () => take().kind)

describe('frames', () => {
  test('pass up to the burst, with one warning before its end, and then at the rate', () => {
    const { take } = sender({ bytesPerSecond: 0 })
    expect(kinds(21, () => take(1, 0))).toEqual([...Array(16).fill('pass'), 'warn', 'pass', 'pass', 'pass', 'refuse'])
    // A tenth of a second is one frame.
    expect([take(1, 99).kind, take(1, 100).kind, take(1, 100).kind]).toEqual(['refuse', 'pass', 'refuse'])
  })

  test('that are refused say when the next may come', () => {
    const { take } = sender({ bytesPerSecond: 0 })
    kinds(20, () => take(1, 0))
    expect(take(1, 0)).toEqual({ kind: 'refuse', retryAfterMs: 100 })
    expect(take(1, 50)).toEqual({ kind: 'refuse', retryAfterMs: 50 })
  })

  test('that go on after two bursts of refusals end the connection; slowly sent ones never do', () => {
    const fast = sender({ bytesPerSecond: 0 })
    expect(kinds(61, () => fast.take(1, 0)).filter((kind) => kind === 'close')).toHaveLength(1)
    const slow = sender({ bytesPerSecond: 0 })
    let now = 0
    const slowly = kinds(2000, () => {
      now += 60
      return slow.take(1, now)
    })
    expect(slowly).toContain('refuse')
    expect(slowly).not.toContain('close')
  })

  test('are warned of again after a pause', () => {
    const { take } = sender({ bytesPerSecond: 0 })
    expect(kinds(20, () => take(1, 0)).filter((kind) => kind === 'warn')).toHaveLength(1)
    take(1, 60_000)
    expect(kinds(19, () => take(1, 60_000)).filter((kind) => kind === 'warn')).toHaveLength(1)
  })
})

describe('bytes', () => {
  test('pass a second’s worth at once, and then at the rate', () => {
    const { take } = sender({ messagesPerSecond: 0 })
    expect(take(500, 0).kind).toBe('pass')
    expect(take(400, 0).kind).toBe('warn')
    expect(take(200, 0)).toEqual({ kind: 'refuse', retryAfterMs: 100 })
    expect(take(200, 100).kind).toBe('pass')
  })

  test('of one message of the largest size pass, however low the rate is', () => {
    const { take } = sender({ messagesPerSecond: 0, bytesPerSecond: 10, maxMessageBytes: 5000 })
    expect(take(5000, 0).kind).toBe('warn')
    expect(take(1, 0).kind).toBe('refuse')
  })
})

test('without limits nothing is counted, and nothing is kept', () => {
  const { take, state } = sender({ messagesPerSecond: 0, bytesPerSecond: 0 })
  expect(new Set(kinds(10_000, () => take(10_000, 0)))).toEqual(new Set(['pass']))
  expect(state.rate).toBeUndefined()
})

test('a burst of one warns of nothing: there is nothing to warn before', () => {
  const { take } = sender({ burst: 1, bytesPerSecond: 0 })
  expect([take(1, 0).kind, take(1, 0).kind, take(1, 100).kind]).toEqual(['pass', 'refuse', 'pass'])
})
