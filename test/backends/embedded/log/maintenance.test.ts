import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { isRecoverable } from '../../../../src/core/recoverable.ts'
import { CONTRACT_OPTIONS } from '../../../contracts/log.ts'
import { entry, Site, until } from './support.ts'

const MINUTE = 60_000
const fast = { housekeepingMs: 1 }

/** Looks into the file beside the server. */
function rows(site: Site, table: string): number {
  const db = new Database(site.path, { readonly: true })
  try {
    return db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0
  } finally {
    db.close(true)
  }
}

describe('in the course of time', () => {
  test('messages that are too old go, though nobody reads them', async () => {
    await using site = new Site()
    const { messages } = site.open(fast)
    const retention = { maxMessages: 10_000, maxAgeMs: MINUTE }
    await Promise.all(
      Array.from({ length: 2000 }, (_, n) => messages.append(entry(`room:${n % 20}`, `${n}`, { retention }))),
    )
    await messages.append(entry('room:young', 'stays'))
    site.clock.passed += 2 * MINUTE
    await until(() => rows(site, 'messages') === 1)
  })

  test('messages beyond the number that is kept go, though nothing more comes', async () => {
    await using site = new Site()
    const { messages } = site.open({ housekeepingMs: MINUTE })
    const retention = { maxMessages: 10, maxAgeMs: MINUTE }
    await Promise.all(Array.from({ length: 5000 }, (_, n) => messages.append(entry('room:r', `${n}`, { retention }))))
    await until(() => rows(site, 'messages') === 10)
  })

  test('topics that are empty are forgotten, but not before everybody is told of a gap anyway', async () => {
    await using site = new Site()
    const { messages } = site.open(fast)
    const before = messages.head()
    await messages.append(entry('room:r', '1', { retention: { maxMessages: 10, maxAgeMs: MINUTE } }))
    site.clock.passed += 2 * MINUTE
    await until(() => rows(site, 'messages') === 0)
    expect(rows(site, 'topics')).toBe(1)
    expect(isRecoverable(before, await messages.completeness('room:r'))).toBe(false)
    site.clock.passed += CONTRACT_OPTIONS.horizonMs
    await until(() => rows(site, 'topics') === 0)
    expect(isRecoverable(before, await messages.completeness('room:r'))).toBe(false)
    expect((await messages.append(entry('room:r', '2'))).cursor).toBeGreaterThan(before)
  })

  test('answers to keyed publishes go when their window is over', async () => {
    await using site = new Site()
    const { messages } = site.open(fast)
    const idempotency = { scope: 'alice/phone', key: '1' }
    await messages.append(entry('room:r', '1', { idempotency }))
    expect(rows(site, 'answers')).toBe(1)
    site.clock.passed += CONTRACT_OPTIONS.idempotencyMs + 1
    await until(() => rows(site, 'answers') === 0)
  })

  test('a device that does not come back is forgotten after a season, one that does is not', async () => {
    await using site = new Site()
    const { messages } = site.open(fast)
    messages.acknowledge('alice', 'lost', 1)
    messages.acknowledge('alice', 'used', 2)
    await until(() => rows(site, 'positions') === 2)
    site.clock.passed += 80 * 86_400_000
    messages.acknowledge('alice', 'used', 2)
    site.clock.passed += 11 * 86_400_000
    await until(() => rows(site, 'positions') === 1)
    expect(await messages.positions('alice', 'used')).toEqual({ own: 2, newest: 2 })
  })

  test('the head moves on without messages, so that who hears nothing keeps a good position', async () => {
    await using site = new Site()
    const { messages } = site.open(fast)
    const { cursor } = await messages.append(entry('room:r', '1'))
    const heads: number[] = []
    messages.onCommitted((batch, head) => {
      expect(batch).toEqual([])
      heads.push(head)
    })
    site.clock.passed += CONTRACT_OPTIONS.horizonMs
    await until(() => heads.length > 0)
    expect(heads[0]).toBeGreaterThan(cursor)
    expect(messages.head()).toBe(heads.at(-1) ?? 0)
    expect(isRecoverable(messages.head(), await messages.completeness('room:r'))).toBe(true)
  })
})
