import { expect, test } from 'bun:test'
import { DeliveryLine } from '../../src/core/line.ts'
import { silentLog } from '../../src/core/log.ts'
import type { StoredMessage } from '../../src/core/ports/log.ts'

function stored(cursor: number, topic = 'room:a', body = '{}'): StoredMessage {
  return { cursor, topic, body, device: undefined, id: `m${cursor}`, at: 0 }
}

/** A line whose deliveries are out when the test says so. */
function lineByHand(delivered = 0) {
  const out: { cursor: number; done: () => void }[] = []
  const line = new DeliveryLine(
    (message, done) => out.push({ cursor: message.cursor, done }),
    () => {},
    silentLog,
    delivered,
  )
  const finish = () => out.shift()?.done()
  return { line, finish, waiting: () => out.map(({ cursor }) => cursor) }
}

test('the position moves with each message that is out, and to the head when all are', () => {
  const { line, finish } = lineByHand()
  line.push([stored(1), stored(2)], 5)
  expect(line.delivered).toBe(0)
  finish()
  expect(line.delivered).toBe(1)
  finish()
  expect(line.delivered).toBe(5)
})

test('messages of one topic are handed over together, the next topic waits until they are out', () => {
  const { line, finish, waiting } = lineByHand()
  line.push([stored(1), stored(2), stored(3, 'room:b'), stored(4)], 4)
  expect(waiting()).toEqual([1, 2])
  finish()
  expect(waiting()).toEqual([2])
  finish()
  expect(waiting()).toEqual([3])
  finish()
  expect(waiting()).toEqual([4])
})

test('a commit that comes while the line is busy goes behind what is there', () => {
  const { line, finish, waiting } = lineByHand()
  line.push([stored(1)], 1)
  line.push([stored(2)], 2)
  expect(waiting()).toEqual([1])
  finish()
  expect(waiting()).toEqual([2])
})

test('time that passes without a message moves the position of an idle line', () => {
  const { line } = lineByHand(7)
  line.push([], 9)
  expect(line.delivered).toBe(9)
})

test('whoever waits for a cursor is told when it was delivered, not when it was committed', async () => {
  const { line, finish } = lineByHand()
  line.push([stored(1), stored(2)], 2)
  const order: string[] = []
  const second = line.reached(2)?.then(() => order.push('second'))
  const first = line.reached(1)?.then(() => order.push('first'))
  finish()
  await first
  expect(order).toEqual(['first'])
  finish()
  await second
  expect(order).toEqual(['first', 'second'])
  expect(line.reached(2)).toBeUndefined()
})

test('a message whose delivery throws does not hold up those behind it', () => {
  const delivered: number[] = []
  const line = new DeliveryLine(
    ({ cursor }, done) => {
      if (cursor === 1) throw new Error('broken')
      delivered.push(cursor)
      done()
    },
    () => {},
    silentLog,
    0,
  )
  line.push([stored(1), stored(2)], 2)
  expect(delivered).toEqual([2])
  expect(line.delivered).toBe(2)
})

test('a big commit is handed over in pieces, in order, and other work runs in between', async () => {
  const delivered: number[] = []
  const line = new DeliveryLine(
    ({ cursor }, done) => {
      delivered.push(cursor)
      done()
    },
    () => {},
    silentLog,
    0,
  )
  const body = 'x'.repeat(100_000)
  line.push(
    Array.from({ length: 10 }, (_, at) => stored(at + 1, `room:${at}`, body)),
    10,
  )
  expect(delivered.length).toBeLessThan(10)
  await line.reached(10)
  expect(delivered).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('what waits is counted, and what was handed over is not', () => {
  const { line, finish } = lineByHand()
  line.push([stored(1), stored(2, 'room:b'), stored(3)], 3)
  const waiting = line.waitingBytes
  expect(waiting).toBeGreaterThan(0)
  finish()
  expect(line.waitingBytes).toBeLessThan(waiting)
  finish()
  finish()
  expect(line.waitingBytes).toBe(0)
  expect(line.delivered).toBe(3)
})

test('a line that is never idle goes on in order, however much it has delivered', () => {
  const { line, finish, waiting } = lineByHand()
  const seen: number[] = []
  for (let cursor = 1; cursor <= 5000; cursor++) line.push([stored(cursor, `room:${cursor}`)], cursor)
  for (let n = 0; n < 5000; n++) {
    seen.push(...waiting())
    finish()
  }
  expect(seen).toEqual(Array.from({ length: 5000 }, (_, n) => n + 1))
  expect(line.delivered).toBe(5000)
})
