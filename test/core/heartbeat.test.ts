import { describe, expect, test } from 'bun:test'
import { Heartbeat } from '../../src/core/heartbeat.ts'
import { Registry } from '../../src/core/registry.ts'
import type { Session } from '../../src/core/session.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'

function watch(intervalMs = 25_000, timeoutMs = 60_000) {
  const clock = new FakeClock()
  const registry = new Registry()
  const closed: [user: string, code: number, at: number][] = []
  const start = clock.monotonic()
  const end = (session: Session, code: number) => {
    registry.remove(session)
    closed.push([session.userId, code, clock.monotonic() - start])
  }
  const heartbeat = new Heartbeat({
    clock,
    registry,
    intervalMs,
    timeoutMs,
    expiryWarningMs: 5000,
    position: () => 1,
    close: end,
    end: (session, error) => end(session, error.close),
  })
  return {
    clock,
    closed,
    heartbeat,
    add(...args: [Parameters<typeof makeSession>[1]?]) {
      const session = makeSession(clock, ...args)
      // As `welcome` would have said.
      session.toldPosition = 1
      registry.add(session)
      heartbeat.begin(session)
      return session
    },
    /** Lets time pass in looks; `each` happens before every look. */
    pass(ms: number, each: () => void = () => {}) {
      for (let passed = 0; passed < ms; passed += heartbeat.lookIntervalMs) {
        clock.advance(heartbeat.lookIntervalMs)
        each()
        heartbeat.sweep()
      }
    },
  }
}

describe('a peer', () => {
  test('that is silent is closed by the time-out, not after it', () => {
    const { add, pass, closed } = watch()
    add({ userId: 'dead' })
    pass(70_000)
    const [[user, code, at] = []] = closed
    expect([user, code]).toEqual(['dead', 4010])
    expect(at).toBeWithin(58_000, 60_001)
  })

  test('that answers pings stays for ever, and is pinged once an interval', () => {
    const { add, pass, closed, clock } = watch()
    const session = add()
    let answered = 0
    pass(3_600_000, () => {
      if (session.wire.probes > answered) {
        answered = session.wire.probes
        session.lastInbound = clock.monotonic()
      }
    })
    expect(closed).toEqual([])
    expect(session.wire.probes).toBeWithin(3600 / 26 - 1, 3600 / 25 + 2)
  })

  // Bun's own idle timer starts anew with every byte the server sends.
  test('that is silent is found although much is sent to it', () => {
    const { add, pass, closed } = watch()
    const session = add()
    pass(60_000, () => session.send({ type: 'chatter', timestamp: 0 }))
    expect(closed).toHaveLength(1)
  })

  test('is judged in time for every interval and time-out', () => {
    for (const [interval, timeout] of [
      [1, 2],
      [100, 150],
      [1000, 1500],
      [1000, 60_000],
      [59_000, 60_000],
    ] as const) {
      const { add, pass, closed, clock } = watch(interval, timeout)
      const dead = add({ userId: 'dead' })
      const alive = add({ userId: 'alive' })
      let answered = 0
      pass(timeout * 3, () => {
        // The answer to a ping arrives before the next look.
        if (alive.wire.probes > answered) alive.lastInbound = clock.monotonic() - 0.001
        answered = alive.wire.probes
      })
      expect([interval, timeout, closed.map(([user]) => user)]).toEqual([interval, timeout, ['dead']])
      expect(closed[0]?.[2]).toBeLessThanOrEqual(timeout)
      expect(dead.wire.probes).toBeGreaterThan(0)
    }
  })
})

// A server that was stopped, or moved to another host, has read nobody meanwhile: nobody must be lost for that.
test('time in which the process did not run is nobody’s silence', () => {
  const { add, pass, closed, clock, heartbeat } = watch()
  const dead = add({ userId: 'dead' })
  const alive = add({ userId: 'alive' })
  const answer = () => {
    alive.lastInbound = clock.monotonic()
  }
  pass(30_000, answer)
  clock.advance(3_600_000)
  heartbeat.sweep()
  expect(closed).toEqual([])
  // Half of the dead one's time had passed before: it has the other half.
  pass(31_000, answer)
  expect(closed.map(([user]) => user)).toEqual(['dead'])
  expect(dead.wire.probes).toBeGreaterThan(0)
})

describe('a token', () => {
  test('that ends is announced once, and ends the connection', () => {
    const { add, pass, closed, clock } = watch()
    const session = add({ expiresAt: clock.now() + 10_000 })
    const alive = () => {
      session.lastInbound = clock.monotonic()
    }
    pass(4000, alive)
    expect(session.wire.frames).toEqual([])
    pass(2000, alive)
    expect(session.wire.frames).toMatchObject([{ type: 'token_expiring', payload: { expires_in_ms: 5000 } }])
    pass(3000, alive)
    expect(closed).toEqual([])
    pass(1000, alive)
    expect(closed).toEqual([['alice', 4001, 10_000]])
    expect(session.wire.frames).toHaveLength(1)
  })

  test('whose end is near before `welcome` is announced after it', () => {
    const { add, pass, clock, heartbeat } = watch()
    const session = add({ expiresAt: clock.now() + 4000 })
    session.state = 'connecting'
    pass(2000, () => {})
    expect(session.wire.frames).toEqual([])
    session.state = 'open'
    heartbeat.lookAtToken(session, clock.monotonic())
    expect(session.wire.frames).toMatchObject([{ type: 'token_expiring', payload: { expires_in_ms: 2000 } }])
  })

  test('is judged by the clock that does not jump', () => {
    const { add, pass, closed, clock } = watch()
    const session = add({ expiresAt: clock.now() + 10_000 })
    for (const jump of [86_400_000, -2 * 86_400_000]) {
      clock.jump(jump)
      pass(4000, () => {
        session.lastInbound = clock.monotonic()
      })
      expect(closed).toEqual([])
    }
  })
})
