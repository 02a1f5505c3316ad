import { expect, test } from 'bun:test'
import { systemClock } from '../../src/core/clock.ts'
import { drain } from '../../src/core/drain.ts'
import { Registry } from '../../src/core/registry.ts'
import type { Session } from '../../src/core/session.ts'
import { startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { hasFreeSeat } from '../support/seats.ts'
import { makeSession } from '../support/sessions.ts'
import { until } from '../support/until.ts'

function crowd(count: number) {
  const registry = new Registry()
  const closed: { user: string; code: number; at: number }[] = []
  const began = performance.now()
  const add = (userId: string) => {
    const session = makeSession(systemClock, { userId })
    registry.add(session)
    return session
  }
  const sessions = Array.from({ length: count }, (_, n) => add(`u${n}`))
  const close = (session: Session, code: number) => {
    registry.remove(session)
    closed.push({ user: session.userId, code, at: performance.now() - began })
  }
  return { deps: { clock: systemClock, registry, close }, sessions, closed, add }
}

test('everybody is told when to come back, and closed, the first at once and the last at the end of the window', async () => {
  const { deps, sessions, closed } = crowd(100)
  await drain(deps, 'deploy', 400, new AbortController().signal)
  expect(closed).toHaveLength(100)
  expect(new Set(closed.map(({ code }) => code))).toEqual(new Set([1012]))
  expect((closed[99]?.at ?? 0) - (closed[0]?.at ?? 0)).toBeGreaterThan(320)
  for (const session of sessions) {
    expect(session.wire.frames).toEqual([
      {
        type: 'server_draining',
        payload: { reason: 'deploy', reconnect_after_ms: expect.any(Number) },
        timestamp: expect.any(Number),
      },
    ])
  }
})

test('an abort closes who is left at once', async () => {
  const { deps, closed } = crowd(100)
  const abort = new AbortController()
  const drained = drain(deps, 'deploy', 3_600_000, abort.signal)
  await until(() => closed.length > 0)
  abort.abort()
  await drained
  expect(closed).toHaveLength(100)
})

// Counted at the start, they were never due: with nobody else there the server waited for ever, and after the deadline
// without letting the event loop turn.
test('who comes in after the count is closed too', async () => {
  for (const hurry of [false, true]) {
    const { deps, closed, add } = crowd(2)
    const abort = new AbortController()
    const drained = drain(deps, 'deploy', hurry ? 3_600_000 : 120, abort.signal)
    add('late')
    if (hurry) abort.abort()
    await drained
    expect(closed.map(({ user }) => user)).toEqual(['u0', 'u1', 'late'])
  }
})

test('whoever passed the door just before it was shut is sent away, and holds nothing', async () => {
  const knocked = Promise.withResolvers<void>()
  const verify = Promise.withResolvers<void>()
  const app = tidings().authenticate(async (_request, next) => {
    knocked.resolve()
    await verify.promise
    return next()
  })
  await using server = await startTestServer({ app, config: { limits: { per_user: 1 } } })
  const connecting = server.connect({ user: 'alice' }).catch((error) => error)
  await knocked.promise
  server.hub.refuseNew()
  verify.resolve()
  const { error, closed } = await connecting
  expect([error.error_code, closed]).toEqual(['draining', { code: 1012, reason: 'draining' }])
  expect(server.hub.registry.size).toBe(0)
  expect(await hasFreeSeat(server.hub, 'alice')).toBe(true)
})

test('a connection that is still opening when the server begins to leave is leaving, too', async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  const app = tidings().onConnect(({ session }) => (session.userId === 'late' ? opened : undefined))
  await using server = await startTestServer({ app, config: { drain: { window_ms: 60_000 } } })
  await server.connect({ user: 'first' })
  const arriving = server.connect({ user: 'late' })
  await until(() => server.hub.registry.size === 2)
  const [late] = server.hub.registry.byUser.get('late')
  const abort = new AbortController()
  const left = server.hub.drain('deploy', abort.signal)
  open()
  const client = await arriving
  expect(late?.state).toBe('draining')
  abort.abort()
  await left
  expect((await client.closed).code).toBe(1012)
})
