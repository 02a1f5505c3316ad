import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { MaybePromise } from '../../src/core/maybe-promise.ts'
import type { Selection, StoredMessage } from '../../src/core/ports/log.ts'
import { Tails } from '../../src/core/tails.ts'

const NEVER_TRIMMED = { completeSince: 0, horizon: 0, trimmed: 0, last: 0, now: 0 }

/** A log of one topic that counts how often it is read. */
class OneTopic {
  messages: StoredMessage[] = []
  trimmed = 0
  reads = 0
  /** Set where answers come later. */
  later = false

  add(cursor: number, body = `{"n":${cursor}}`): void {
    this.messages.push({ cursor, topic: 'room:a', body, device: undefined, id: `m${cursor}`, at: 0 })
  }

  trim(upTo: number): void {
    this.trimmed = upTo
    this.messages = this.messages.filter(({ cursor }) => cursor > upTo)
  }

  read(_: Selection, after: number, upTo: number, limit: number): MaybePromise<readonly StoredMessage[]> {
    this.reads++
    const rows = this.messages.filter(({ cursor }) => cursor > after && cursor <= upTo).slice(0, limit)
    return this.later ? new Promise((resolve) => setImmediate(() => resolve(rows))) : rows
  }

  completeness(_topic?: string, _position?: number) {
    return { ...NEVER_TRIMMED, trimmed: this.trimmed }
  }
}

let now = 0

function tailsOf(log: OneTopic): Tails {
  return new Tails(log, () => now)
}

async function cursors(tails: Tails, after: number, upTo: number, limit: number): Promise<number[]> {
  return (await tails.read('room:a', after, upTo, limit)).map(({ cursor }) => cursor)
}

describe.each([false, true])('answers of the log that come later: %p', (later) => {
  function filled(count: number): OneTopic {
    const log = new OneTopic()
    log.later = later
    for (let cursor = 1; cursor <= count; cursor++) log.add(cursor)
    return log
  }

  test('what many read is read from the log once, page by page', async () => {
    const log = filled(25)
    const tails = tailsOf(log)
    const all = Array.from({ length: 25 }, (_, n) => n + 1)
    const readAll = async () => {
      const read: number[] = []
      for (;;) {
        const page = await cursors(tails, read.at(-1) ?? 0, 25, 10)
        read.push(...page)
        if (page.length < 10) return read
      }
    }
    expect(await Promise.all(Array.from({ length: 50 }, readAll))).toEqual(Array(50).fill(all))
    expect(log.reads).toBe(3)
  })

  test('readers at different positions at the same time do not take the log from each other', async () => {
    const log = filled(20)
    const read = log.read.bind(log)
    log.read = (...args) => {
      if (log.reads > 20) throw new Error('they read for ever')
      return read(...args)
    }
    const tails = tailsOf(log)
    const positions = [0, 12, 5, 17, 2]
    const all = await Promise.all(positions.map((after) => cursors(tails, after, 20, 50)))
    expect(all).toEqual(positions.map((after) => Array.from({ length: 20 - after }, (_, n) => after + 1 + n)))
  })

  test('what is read is encoded once for all who are sent it', async () => {
    const tails = tailsOf(filled(1))
    const [first] = await tails.read('room:a', 0, 1, 10)
    const [second] = await tails.read('room:a', 0, 1, 10)
    expect(second?.message).toBe(first?.message as NonNullable<typeof first>['message'])
  })

  test('what is stored and removed meanwhile is as in the log, for readers at any position', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const) }),
      fc.record({ do: fc.constant('trim' as const), by: fc.nat({ max: 5 }) }),
      fc.record({
        do: fc.constant('read' as const),
        after: fc.nat({ max: 60 }),
        upTo: fc.nat({ max: 60 }),
        limit: fc.integer({ min: 1, max: 12 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const log = new OneTopic()
        log.later = later
        const tails = tailsOf(log)
        let last = 0
        for (const one of steps) {
          if (one.do === 'add') log.add(++last)
          else if (one.do === 'trim') log.trim(Math.min(last, log.trimmed + one.by))
          else {
            // Nobody reads past what is delivered: later messages have a greater cursor.
            const upTo = Math.min(one.upTo, last)
            const expected = log.messages
              .filter(({ cursor }) => cursor > one.after && cursor <= upTo)
              .slice(0, one.limit)
            expect(await cursors(tails, one.after, upTo, one.limit)).toEqual(expected.map(({ cursor }) => cursor))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('what has been removed elsewhere is read where it is still in memory', async () => {
  const log = new OneTopic()
  for (let cursor = 1; cursor <= 5; cursor++) log.add(cursor)
  // Of a reader's position the log answers from memory, which has everything after it; else as it is stored, which is gone.
  const inMemory = (position: number) => position >= 2
  log.completeness = (_topic?: string, position?: number) => ({
    ...NEVER_TRIMMED,
    trimmed: position !== undefined && inMemory(position) ? position : 5,
  })
  const tails = tailsOf(log)
  expect(await cursors(tails, 2, 5, 10)).toEqual([3, 4, 5])
  expect(await cursors(tails, 0, 5, 10)).toEqual([])
})

test('what was removed before it was read is not missing to a reader who is told that it is in memory', async () => {
  const log = new OneTopic()
  for (let cursor = 1; cursor <= 5; cursor++) log.add(cursor)
  const stored = log.read.bind(log)
  // Between the first look and the reading the log loses everything; memory has it from 2 on.
  let [looks, reads] = [0, 0]
  log.completeness = (_topic?: string, position = 0) => ({
    ...NEVER_TRIMMED,
    trimmed: position >= 2 ? position : looks++ === 0 ? 0 : 5,
  })
  log.read = (selection, after, upTo, limit) =>
    reads++ === 0 ? Promise.resolve([]) : stored(selection, after, upTo, limit)
  const tails = tailsOf(log)
  expect(await cursors(tails, 0, 5, 10)).toEqual([])
  expect(await cursors(tails, 2, 5, 10)).toEqual([3, 4, 5])
})

test('a reader whose reading fails fails alone', async () => {
  const log = new OneTopic()
  log.add(1)
  log.later = true
  const tails = tailsOf(log)
  const read = log.read.bind(log)
  log.read = (...args) => {
    log.read = read
    log.reads++
    void args
    return new Promise((_, reject) => setImmediate(() => reject(new Error('broken'))))
  }
  const both = [cursors(tails, 0, 1, 10), cursors(tails, 0, 1, 10)]
  const [first, second] = await Promise.allSettled(both)
  expect(first?.status).toBe('rejected')
  expect(second).toEqual({ status: 'fulfilled', value: [1] })
})

test('big messages are not kept by the hundred, and are read all the same', async () => {
  const log = new OneTopic()
  const body = JSON.stringify('x'.repeat(60_000))
  for (let cursor = 1; cursor <= 200; cursor++) log.add(cursor, body)
  const tails = tailsOf(log)
  const read: number[] = []
  for (;;) {
    const page = await cursors(tails, read.at(-1) ?? 0, 200, 10)
    read.push(...page)
    if (page.length < 10) break
  }
  expect(read).toEqual(Array.from({ length: 200 }, (_, n) => n + 1))
  const before = log.reads
  await cursors(tails, 0, 200, 10)
  expect(log.reads).toBe(before + 1)
})

test('what nobody has read for a while is forgotten', async () => {
  const log = new OneTopic()
  log.add(1)
  const tails = tailsOf(log)
  await cursors(tails, 0, 1, 10)
  tails.sweep()
  await cursors(tails, 0, 1, 10)
  expect(log.reads).toBe(1)
  now += 60_000
  tails.sweep()
  await cursors(tails, 0, 1, 10)
  expect(log.reads).toBe(2)
})
