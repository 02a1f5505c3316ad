import { expect, test } from 'bun:test'
import { Registry } from '../../src/core/registry.ts'
import { SlowConsumers } from '../../src/core/slow-consumers.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'
import { until } from '../support/until.ts'

const LIMIT = 1000

function watch() {
  const registry = new Registry()
  const closed: [user: string, code: number][] = []
  const slow = new SlowConsumers(registry, LIMIT, (session, code) => {
    registry.remove(session)
    closed.push([session.userId, code])
  })
  const add = (userId: string, buffered: number) => {
    const session = makeSession(new FakeClock(), { userId })
    session.wire.buffered = buffered
    registry.add(session)
    return session
  }
  return { slow, closed, add }
}

test('only who has more waiting than the limit is closed, with its own code', async () => {
  const { slow, closed, add } = watch()
  add('reads', 0)
  add('lags', LIMIT)
  add('sleeps', LIMIT + 1)
  slow.suspect(10)
  await until(() => closed.length > 0)
  expect(closed).toEqual([['sleeps', 4008]])
  slow.stop()
})

test('who still has something waiting is looked at again, without another sign', async () => {
  const { slow, closed, add } = watch()
  const session = add('lags', 10)
  slow.suspect(10)
  session.wire.buffered = LIMIT + 1
  await until(() => closed.length > 0)
  slow.stop()
})

// The runtime's own limit closes without a code: a client could not tell that it was too slow.
test('as soon as a buffer may have passed the limit it is looked at in the same turn', async () => {
  const { slow, closed, add } = watch()
  add('sleeps', LIMIT + 1)
  slow.suspect(LIMIT)
  expect(closed).toEqual([])
  await new Promise((resolve) => setImmediate(resolve))
  expect(closed).toEqual([['sleeps', 4008]])
  slow.stop()
})

test('nothing is looked at after the stop', async () => {
  const { slow, closed, add } = watch()
  add('sleeps', LIMIT + 1)
  slow.suspect(LIMIT)
  slow.stop()
  await new Promise((resolve) => setImmediate(resolve))
  expect(closed).toEqual([])
})
