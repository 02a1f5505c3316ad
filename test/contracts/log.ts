/**
 * What every message log keeps to, whatever it is made of. A backend's test calls {@link logContract} with a way to open
 * one.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Appended, Entry, MessageLog, StoredMessage } from '../../src/core/ports/log.ts'
import { completeFrom, isRecoverable } from '../../src/core/recoverable.ts'
import { TidingsError } from '../../src/protocol/errors.ts'

/** One store, and the time that it lives in. */
export interface LogHarness {
  /** Opens the log, again after a close with everything that it held. */
  open(): Promise<MessageLog>
  /** The wall clock that entries are dated by. */
  now(): number
  /** Lets time pass: on the wall, and for whatever is remembered for a while. */
  pass(ms: number): void | Promise<void>
  dispose(): Promise<void>
}

/** What a harness opens its log with. */
export const CONTRACT_OPTIONS = { idempotencyMs: 120_000, horizonMs: 3_600_000 } as const

const MINUTE = 60_000

export function logContract(name: string, createHarness: () => Promise<LogHarness>): void {
  describe(name, () => {
    let harness: LogHarness
    let log: MessageLog
    let told: StoredMessage[]

    beforeEach(async () => {
      harness = await createHarness()
      await open()
    })
    afterEach(async () => {
      await log.close()
      await harness.dispose()
    })

    async function open(): Promise<void> {
      log = await harness.open()
      told = []
      log.onCommitted((batch) => told.push(...batch))
    }

    async function reopen(): Promise<void> {
      await log.close()
      await open()
    }

    let counter = 0
    function entry(topic: string, body: string, more: Partial<Entry> = {}): Entry {
      const retention = { maxMessages: 1000, maxAgeMs: 10 * MINUTE }
      return { topic, id: `m${++counter}`, body, at: harness.now(), retention, ...more }
    }

    async function bodies(topics: readonly string[], after: number, limit = 100, device?: string): Promise<string[]> {
      const messages = await log.read({ topics, device }, after, log.head(), limit)
      return messages.map(({ body }) => body)
    }

    async function recovers(topic: string, position: number): Promise<boolean> {
      return isRecoverable(position, await log.completeness(topic))
    }

    describe('appending', () => {
      test('cursors follow the order of the calls, over all topics', async () => {
        const entries = Array.from({ length: 50 }, (_, n) => entry(`room:${n % 3}`, `${n}`))
        const cursors = (await Promise.all(entries.map((each) => log.append(each)))).map(({ cursor }) => cursor)
        expect(cursors).toEqual([...new Set(cursors)].sort((a, b) => a - b))
        expect(told.map(({ body }) => body)).toEqual(entries.map(({ body }) => body))
      })

      test('a publisher learns of its message after the listener was told', async () => {
        const tellings = await Promise.all(
          ['a', 'b', 'c'].map(async (body) => {
            const { cursor } = await log.append(entry('room:r', body))
            return told.some((message) => message.cursor === cursor) && log.head() >= cursor
          }),
        )
        expect(tellings).toEqual([true, true, true])
      })

      test('the listener gets the message as it was given, with its cursor and whose connection it came from', async () => {
        const sent = entry('user:alice', '{"type":"hi"}', { device: 'phone', origin: 'connection-1' })
        const { cursor, id } = await log.append(sent)
        const { topic, device, body, at, origin } = sent
        expect(id).toBe(sent.id)
        expect(told).toEqual([{ cursor, topic, device, id, body, at, origin }])
      })

      test('each commit is told with a head that covers it and that only grows', async () => {
        const heads: number[] = []
        log.onCommitted((batch, head) => {
          expect(batch.every(({ cursor }) => cursor <= head && cursor > (heads.at(-1) ?? 0))).toBe(true)
          heads.push(head)
        })
        for (let n = 0; n < 5; n++) await log.append(entry('room:r', `${n}`))
        expect(heads).toEqual([...heads].sort((a, b) => a - b))
        expect(heads.at(-1)).toBe(log.head())
      })

      test('a listener that throws takes nothing from the publisher', async () => {
        log.onCommitted(() => {
          throw new Error('delivery is broken')
        })
        const { cursor } = await log.append(entry('room:r', 'kept'))
        expect(cursor).toBe(log.head())
        expect(await bodies(['room:r'], 0)).toEqual(['kept'])
      })

      test('a message that cannot be stored fails alone', async () => {
        // The first of its room, so that whatever the log had begun for the room is undone with it.
        const broken = { ...entry('room:new', 'broken'), at: Number.NaN }
        const results = await Promise.allSettled(
          [entry('room:r', 'first'), broken, entry('room:new', 'second')].map((each) => log.append(each)),
        )
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
        expect(told.map(({ body }) => body)).toEqual(['first', 'second'])
        await reopen()
        expect(await bodies(['room:r', 'room:new'], 0)).toEqual(['first', 'second'])
      })
    })

    describe('the same key again', () => {
      const idempotency = { scope: 'alice/phone', key: 'c-1' }

      test('gives the first answer, stores nothing and tells nobody', async () => {
        const first = await log.append(entry('room:r', 'once', { idempotency }))
        const again = await log.append(entry('room:r', 'twice', { idempotency }))
        expect(again).toEqual({ ...first, duplicate: true })
        expect(await bodies(['room:r'], 0)).toEqual(['once'])
        expect(told).toHaveLength(1)
      })

      test('joins a first try that is still under way', async () => {
        const [first, again] = await Promise.all([
          log.append(entry('room:r', 'once', { idempotency })),
          log.append(entry('room:r', 'twice', { idempotency })),
        ])
        expect(again).toEqual({ ...first, duplicate: true })
        expect(told).toHaveLength(1)
      })

      test('is another key in another scope', async () => {
        await log.append(entry('room:r', 'phone', { idempotency }))
        const other = await log.append(
          entry('room:r', 'laptop', { idempotency: { ...idempotency, scope: 'alice/laptop' } }),
        )
        expect(other.duplicate).toBeUndefined()
        expect(await bodies(['room:r'], 0)).toEqual(['phone', 'laptop'])
      })

      test('is known after a restart, also when the message itself is gone', async () => {
        const retention = { maxMessages: 1, maxAgeMs: MINUTE }
        const first = await log.append(entry('room:r', 'once', { idempotency, retention }))
        await log.append(entry('room:r', 'newer', { retention }))
        await log.read({ topics: ['room:r'] }, 0, log.head(), 10)
        await reopen()
        expect(await log.append(entry('room:r', 'twice', { idempotency }))).toEqual({ ...first, duplicate: true })
        expect(await bodies(['room:r'], 0)).toEqual(['newer'])
      })

      test('is a new message once the window is over', async () => {
        await log.append(entry('room:r', 'once', { idempotency }))
        await harness.pass(CONTRACT_OPTIONS.idempotencyMs + 1)
        const later = await log.append(entry('room:r', 'again', { idempotency }))
        expect(later.duplicate).toBeUndefined()
        expect(await bodies(['room:r'], 0)).toEqual(['once', 'again'])
      })

      test('is a new try where the first one failed', async () => {
        const failed = await log.append({ ...entry('room:r', 'bad', { idempotency }), at: Number.NaN }).catch((e) => e)
        expect(failed).toBeInstanceOf(TidingsError)
        const second = await log.append(entry('room:r', 'good', { idempotency }))
        expect(second.duplicate).toBeUndefined()
      })
    })

    describe('reading', () => {
      test('gives what came after one cursor and up to another, in cursor order over all topics', async () => {
        const appended: Appended[] = []
        for (const [n, room] of ['a', 'b', 'c', 'a', 'b'].entries()) {
          appended.push(await log.append(entry(`room:${room}`, `${room}${n}`)))
        }
        const [first, , , fourth] = appended
        const messages = await log.read({ topics: ['room:b', 'room:a'] }, first?.cursor ?? 0, fourth?.cursor ?? 0, 100)
        expect(messages.map(({ body }) => body)).toEqual(['b1', 'a3'])
      })

      test('goes on from the last message of a page, and a short page is the last', async () => {
        const entries = Array.from({ length: 25 }, (_, n) => entry(`room:${n % 4}`, `${n}`))
        await Promise.all(entries.map((each) => log.append(each)))
        const topics = ['room:0', 'room:1', 'room:2', 'room:3', 'room:unknown']
        const read: string[] = []
        const pages: number[] = []
        for (let after = 0; pages.at(-1) !== 5; ) {
          const page = await log.read({ topics }, after, log.head(), 10)
          read.push(...page.map(({ body }) => body))
          pages.push(page.length)
          after = page.at(-1)?.cursor ?? after
        }
        expect(pages).toEqual([10, 10, 5])
        expect(read).toEqual(entries.map(({ body }) => body))
      })

      test('a message for one device is seen by that device alone', async () => {
        await log.append(entry('user:alice', 'all'))
        await log.append(entry('user:alice', 'phone', { device: 'phone' }))
        expect(await bodies(['user:alice'], 0, 10, 'phone')).toEqual(['all', 'phone'])
        expect(await bodies(['user:alice'], 0, 10, 'laptop')).toEqual(['all'])
        expect(await bodies(['user:alice'], 0)).toEqual(['all'])
        expect((await log.tail('user:alice', 10, log.head())).map(({ body }) => body)).toEqual(['all'])
      })

      test('the tail of a topic is its last messages up to a cursor, oldest first', async () => {
        const appended = await Promise.all(['1', '2', '3', '4'].map((body) => log.append(entry('room:r', body))))
        const tail = await log.tail('room:r', 2, appended[2]?.cursor ?? 0)
        expect(tail.map(({ body }) => body)).toEqual(['2', '3'])
        expect(await log.tail('room:unknown', 2, log.head())).toEqual([])
      })

      test('counts what a topic has after a cursor', async () => {
        const first = await log.append(entry('user:alice', '1'))
        await log.append(entry('user:alice', '2', { device: 'phone' }))
        expect(await log.count('user:alice', 0)).toBe(2)
        expect(await log.count('user:alice', first.cursor)).toBe(1)
        expect(await log.count('user:bob', 0)).toBe(0)
      })

      test('a body comes back as it was', async () => {
        const odd = ['', '\u0000', 'a\u0000b', 'ü€𝄞\u2028', '{"a":"\\ud800"}', 'x'.repeat(100_000)]
        for (const body of odd) await log.append(entry('room:r', body))
        expect(await bodies(['room:r'], 0)).toEqual(odd)
      })
    })

    describe('what is kept', () => {
      test('a topic holds no more than its number of messages, and says what is gone', async () => {
        const before = log.head()
        const retention = { maxMessages: 3, maxAgeMs: 10 * MINUTE }
        const appended = []
        for (let n = 1; n <= 5; n++) appended.push(await log.append(entry('room:r', `${n}`, { retention })))
        expect(await bodies(['room:r'], 0)).toEqual(['3', '4', '5'])
        expect(await recovers('room:r', before)).toBe(false)
        expect(await recovers('room:r', appended[0]?.cursor ?? 0)).toBe(false)
        expect(await recovers('room:r', appended[1]?.cursor ?? 0)).toBe(true)
        expect(completeFrom(await log.completeness('room:r'))).toBe(appended[1]?.cursor ?? 0)
        expect(await log.tail('room:r', 10, log.head())).toHaveLength(3)
        expect(await log.count('room:r', 0)).toBe(3)
      })

      test('a topic holds nothing that is too old, and says what is gone', async () => {
        const before = log.head()
        const retention = { maxMessages: 100, maxAgeMs: MINUTE }
        const old = await log.append(entry('room:r', 'old', { retention }))
        await harness.pass(MINUTE / 2)
        await log.append(entry('room:r', 'young', { retention }))
        await harness.pass(MINUTE / 2 + 1000)
        expect(await bodies(['room:r'], 0)).toEqual(['young'])
        expect(await recovers('room:r', before)).toBe(false)
        expect(await recovers('room:r', old.cursor)).toBe(true)
      })

      test('what one topic lost, another did not', async () => {
        const before = log.head()
        const retention = { maxMessages: 1, maxAgeMs: MINUTE }
        for (const body of ['1', '2']) await log.append(entry('room:small', body, { retention }))
        await log.append(entry('room:large', '3'))
        expect(await recovers('room:small', before)).toBe(false)
        expect(await recovers('room:large', before)).toBe(true)
      })

      test('a topic that is empty again still says what is gone, and the next cursor is greater', async () => {
        const before = log.head()
        const gone = await log.append(entry('room:r', 'gone', { retention: { maxMessages: 10, maxAgeMs: MINUTE } }))
        await harness.pass(2 * MINUTE)
        expect(await bodies(['room:r'], 0)).toEqual([])
        await reopen()
        expect(await recovers('room:r', before)).toBe(false)
        expect(await recovers('room:r', gone.cursor)).toBe(true)
        expect((await log.append(entry('room:r', 'next'))).cursor).toBeGreaterThan(gone.cursor)
      })

      test('a limit that is lowered holds from the next message on', async () => {
        for (const body of ['1', '2', '3']) await log.append(entry('room:r', body))
        await log.append(entry('room:r', '4', { retention: { maxMessages: 2, maxAgeMs: MINUTE } }))
        expect(await bodies(['room:r'], 0)).toEqual(['3', '4'])
      })

      test('many more messages than a topic holds leave exactly the newest', async () => {
        const retention = { maxMessages: 100, maxAgeMs: 10 * MINUTE }
        const entries = Array.from({ length: 5000 }, (_, n) => entry(`room:${n % 2}`, `${n}`, { retention }))
        await Promise.all(entries.map((each) => log.append(each)))
        expect(await bodies(['room:0', 'room:1'], 0, 1000)).toEqual(entries.slice(-200).map(({ body }) => body))
      })

      test('reads like a list from which the oldest are taken, whatever happens in whatever order', async () => {
        const operation = fc.oneof(
          { weight: 4, arbitrary: fc.record({ do: fc.constant('append' as const), topic: fc.nat({ max: 2 }) }) },
          { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat({ max: 2 * MINUTE }) }) },
          {
            weight: 1,
            arbitrary: fc.record({ do: fc.constant('check' as const), limit: fc.integer({ min: 1, max: 9 }) }),
          },
        )
        let run = 0
        await fc.assert(
          fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
            const start = log.head()
            const names = [0, 1, 2].map((n) => `room:${run}-${n}`)
            run++
            const model = names.map((): { cursor: number; at: number; body: string }[] => [])
            const retention = { maxMessages: 5, maxAgeMs: MINUTE }
            for (const [n, step] of operations.entries()) {
              if (step.do === 'pass') {
                await harness.pass(step.ms)
              } else if (step.do === 'append') {
                const { cursor } = await log.append(entry(names[step.topic] ?? '', `${n}`, { retention }))
                model[step.topic]?.push({ cursor, at: harness.now(), body: `${n}` })
              } else {
                const kept = model.map((list) =>
                  list.slice(-retention.maxMessages).filter(({ at }) => at >= harness.now() - retention.maxAgeMs),
                )
                const expected = kept.flat().sort((a, b) => a.cursor - b.cursor)
                const read = await log.read({ topics: names }, start, log.head(), step.limit)
                expect(read.map(({ body }) => body)).toEqual(expected.slice(0, step.limit).map(({ body }) => body))
                for (const [index, topic] of names.entries()) {
                  const lost = (model[index]?.length ?? 0) > (kept[index]?.length ?? 0)
                  expect(await recovers(topic, start)).toBe(!lost)
                }
              }
            }
          }),
          { numRuns: 25 },
        )
      })
    })

    describe('positions', () => {
      test('the head of a log is always a good position, also of a log that was just made', async () => {
        expect(await recovers('room:never', log.head())).toBe(true)
        await log.append(entry('room:r', '1'))
        expect(await recovers('room:r', log.head())).toBe(true)
      })

      test('nothing before the birth of the log, and nothing from the future, is a good position', async () => {
        const { completeSince, now } = await log.completeness('room:r')
        expect(await recovers('room:r', completeSince - 1)).toBe(false)
        expect(await recovers('room:r', 0)).toBe(false)
        expect(await recovers('room:r', now + 60_000_000)).toBe(false)
      })

      test('a position older than the horizon is not good, though nothing was removed', async () => {
        const position = log.head()
        await harness.pass(CONTRACT_OPTIONS.horizonMs + MINUTE)
        expect(await recovers('room:r', position)).toBe(false)
      })

      test('positions from before a clean restart stay good', async () => {
        const before = log.head()
        await log.append(entry('room:r', '1'))
        await reopen()
        expect(await recovers('room:r', before)).toBe(true)
        expect(await bodies(['room:r'], before)).toEqual(['1'])
        expect(log.head()).toBeGreaterThan(before)
      })

      test('a device is where it acknowledged, and never goes back', async () => {
        expect(await log.positions('alice', 'phone')).toEqual({ own: undefined, newest: undefined })
        log.acknowledge('alice', 'phone', 500)
        log.acknowledge('alice', 'phone', 400)
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 500 })
      })

      test('a new device learns of the newest position of the others of its user', async () => {
        log.acknowledge('alice', 'phone', 500)
        log.acknowledge('alice', 'laptop', 700)
        log.acknowledge('bob', 'phone', 900)
        expect(await log.positions('alice', 'watch')).toEqual({ own: undefined, newest: 700 })
      })

      test('acknowledged positions are there after a restart', async () => {
        log.acknowledge('alice', 'phone', 500)
        await reopen()
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 500 })
        log.acknowledge('alice', 'phone', 300)
        await reopen()
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 500 })
      })
    })

    describe('a new device', () => {
      test('is known from when it was introduced on', async () => {
        await log.introduce('alice', 'phone', 500)
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 500 })
        await log.introduce('alice', 'phone', 300)
        log.acknowledge('alice', 'laptop', 700)
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 700 })
        await reopen()
        expect(await log.positions('alice', 'phone')).toEqual({ own: 500, newest: 700 })
      })
    })

    describe('closing', () => {
      test('stores what was appended before, and refuses what comes after', async () => {
        const before = log.append(entry('room:r', 'before'))
        const closed = log.close()
        const after = await log.append(entry('room:r', 'after')).catch((error) => error)
        await closed
        expect(await before).toHaveProperty('cursor')
        expect(after).toBeInstanceOf(TidingsError)
        expect(after.errorName).toBe('unavailable')
        await open()
        expect(await bodies(['room:r'], 0)).toEqual(['before'])
      })
    })
  })
}
