import { describe, expect, test } from 'bun:test'
import { Liveness } from '../../src/client/liveness.ts'
import { FakeClock } from './fakes.ts'

function watch({ asks = true } = {}) {
  const clock = new FakeClock()
  const log: string[] = []
  const at = (what: string): void => {
    log.push(`${what} ${clock.now() - 1000}`)
  }
  const heartbeat = { interval_ms: 25_000, timeout_ms: 60_000 }
  const liveness = new Liveness(clock, heartbeat, { ping: asks ? () => at('ping') : undefined, dead: () => at('dead') })
  return { clock, liveness, log }
}

describe('a quiet connection', () => {
  test('is asked after the interval and dead after the timeout', async () => {
    const { clock, log } = watch()
    await clock.advance(600_000)
    expect(log).toEqual(['ping 25000', 'dead 60000'])
    expect(clock.pending).toBe(0)
  })

  test('lives on when the answer comes', async () => {
    const { clock, liveness, log } = watch()
    await clock.advance(59_999)
    liveness.seen()
    await clock.advance(25_001)
    expect(log).toEqual(['ping 25000', 'ping 84999'])
  })

  test('that has a heartbeat of its own is dead without being asked', async () => {
    const { clock, log } = watch({ asks: false })
    await clock.advance(60_000)
    expect(log).toEqual(['dead 60000'])
  })
})

test('a busy connection is never asked', async () => {
  const { clock, liveness, log } = watch()
  for (let second = 0; second < 300; second++) {
    await clock.advance(1000)
    liveness.seen()
  }
  expect(log).toEqual([])
})

test('timers that come late, as in a page in the background, kill nothing that was not asked', async () => {
  const { clock, liveness, log } = watch()
  await clock.advance(24_999)
  const late = clock.now() + 300_000
  clock.now = () => late
  await clock.advance(1)
  expect(log).toEqual(['ping 324999'])
  liveness.stop()
})

describe('after a wake-up', () => {
  test('five seconds without an answer are enough', async () => {
    const { clock, liveness, log } = watch()
    await clock.advance(10_000)
    liveness.wake()
    await clock.advance(60_000)
    expect(log).toEqual(['ping 10000', 'dead 15000'])
  })

  test('an answer in the same instant is one', async () => {
    const { clock, liveness, log } = watch()
    liveness.wake()
    liveness.seen()
    await clock.advance(20_000)
    expect(log).toEqual(['ping 0'])
  })

  test('a stream is dead if its heartbeat is overdue', async () => {
    const { clock, liveness, log } = watch({ asks: false })
    await clock.advance(30_000)
    liveness.wake()
    expect(log).toEqual([])
    await clock.advance(1)
    liveness.wake()
    expect(log).toEqual(['dead 30001'])
  })
})
