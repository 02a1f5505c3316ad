import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Recent } from '../../../src/backends/redis/log/recent.ts'
import type { StoredMessage } from '../../../src/core/ports/log.ts'

const RETENTION = { maxMessages: 5, maxAgeMs: 1000 }

function message(topic: string, cursor: number, more: Partial<StoredMessage> = {}): StoredMessage {
  return { cursor, topic, device: undefined, id: `m${cursor}`, body: `${cursor}`, at: 0, ...more }
}

const cursorsOf = (messages: readonly StoredMessage[] | undefined) => messages?.map(({ cursor }) => cursor)

describe('the newest messages in memory', () => {
  test('are read in cursor order over all topics, where all of what is asked for is there', () => {
    const recent = new Recent(() => 0)
    recent.begin('a', 10)
    recent.begin('b', 10)
    for (const [topic, cursor] of [
      ['a', 11],
      ['b', 12],
      ['a', 13],
    ] as const)
      recent.add(message(topic, cursor), RETENTION)
    expect(cursorsOf(recent.read({ topics: ['b', 'a'] }, 10, 13, 10))).toEqual([11, 12, 13])
    expect(cursorsOf(recent.read({ topics: ['b', 'a'] }, 11, 12, 10))).toEqual([12])
    expect(cursorsOf(recent.read({ topics: ['b', 'a'] }, 10, 13, 2))).toEqual([11, 12])
    expect(recent.count('a', 10)).toBe(2)
    expect(recent.read({ topics: ['a'] }, 9, 13, 10)).toBeUndefined()
    expect(recent.read({ topics: ['a', 'unknown'] }, 10, 13, 10)).toBeUndefined()
    expect(recent.count('a', 9)).toBeUndefined()
  })

  test('a tail is only given where it is all here', () => {
    const recent = new Recent(() => 0)
    recent.begin('a', 10)
    for (const cursor of [11, 12, 13]) recent.add(message('a', cursor), RETENTION)
    expect(cursorsOf(recent.tail('a', 2, 12))).toEqual([11, 12])
    expect(recent.tail('a', 3, 12)).toBeUndefined()
    expect(recent.tail('unknown', 1, 12)).toBeUndefined()
  })

  test('a message for one device is for that device alone', () => {
    const recent = new Recent(() => 0)
    recent.begin('a', 10)
    recent.add(message('a', 11, { device: 'phone' }), RETENTION)
    recent.add(message('a', 12), RETENTION)
    expect(cursorsOf(recent.read({ topics: ['a'], device: 'phone' }, 10, 12, 10))).toEqual([11, 12])
    expect(cursorsOf(recent.read({ topics: ['a'], device: 'laptop' }, 10, 12, 10))).toEqual([12])
    expect(cursorsOf(recent.tail('a', 1, 12))).toEqual([12])
  })

  test('what is too old is not there any more', () => {
    let now = 0
    const recent = new Recent(() => now)
    recent.begin('a', 10)
    recent.add(message('a', 11, { at: 0 }), RETENTION)
    recent.add(message('a', 12, { at: 600 }), RETENTION)
    now = 1500
    expect(recent.read({ topics: ['a'] }, 10, 12, 10)).toBeUndefined()
    expect(cursorsOf(recent.read({ topics: ['a'] }, 11, 12, 10))).toEqual([12])
  })

  test('all topics together take no more memory than they may, and what was dropped is not answered for', () => {
    const recent = new Recent(() => 0, 10_000)
    recent.begin('a', 0)
    recent.begin('b', 0)
    for (let cursor = 1; cursor <= 200; cursor++)
      recent.add(message(cursor % 2 === 0 ? 'a' : 'b', cursor, { body: 'x'.repeat(800) }), {
        ...RETENTION,
        maxMessages: 1e6,
      })
    expect(recent.read({ topics: ['a', 'b'] }, 100, 200, 1000)).toBeUndefined()
    expect(cursorsOf(recent.read({ topics: ['a', 'b'] }, 195, 200, 1000))).toEqual([196, 197, 198, 199, 200])
  })

  test('answers like a list with everything, or not at all', () => {
    const step = fc.record({
      topic: fc.constantFrom('a', 'b', 'c'),
      begin: fc.boolean(),
      after: fc.nat(60),
      limit: fc.nat(8),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const recent = new Recent(() => 0, 3000)
        const all: StoredMessage[] = []
        for (const [n, { topic, begin, after, limit }] of steps.entries()) {
          if (begin) recent.begin(topic, n)
          const next = message(topic, n + 1)
          all.push(next)
          recent.add(next, RETENTION)
          const topics = ['a', 'b']
          const kept = topics.flatMap((name) => all.filter((each) => each.topic === name).slice(-RETENTION.maxMessages))
          const expected = kept.filter(({ cursor }) => cursor > after).sort((x, y) => x.cursor - y.cursor)
          const read = recent.read({ topics }, after, n + 1, limit)
          if (read !== undefined) expect(read).toEqual(expected.slice(0, limit))
          const tail = recent.tail('a', Math.max(1, limit), n + 1)
          if (tail !== undefined) {
            const whole = all.filter((each) => each.topic === 'a').slice(-RETENTION.maxMessages)
            expect(tail).toEqual(whole.slice(-Math.max(1, limit)))
          }
        }
      }),
    )
  })
})
