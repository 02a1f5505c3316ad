import { expect, test } from 'bun:test'
import { EventReader } from '../../../scripts/bench/events.ts'
import { ACK, isMessage, MESSAGE, MESSAGE_TYPE, STORED, signatureOf, WELCOME } from '../../../scripts/bench/frames.ts'

const CURSOR = '1795163805485021'
const welcome = `id: ${CURSOR}\ndata: ${JSON.stringify({ type: 'welcome', payload: {} })}\n\n`
const live = `data: ${JSON.stringify({ type: MESSAGE_TYPE, payload: 'x'.repeat(40) })}\n\n`
const stored = `id: ${CURSOR}\ndata: ${JSON.stringify({ cursor: CURSOR, type: MESSAGE_TYPE, payload: 'y'.repeat(40) })}\n\n`
const other = `data: ${JSON.stringify({ type: 'ack', payload: {} })}\n\n`

test.each([1, 2, 3, 7, 50, 64, Infinity])('events are counted when TCP cuts the stream every %i bytes', (piece) => {
  const stream = Buffer.concat([
    chunk('retry: 2000\n\n'),
    chunk(welcome + live),
    chunk(`id: ${CURSOR}\n\n`),
    chunk(stored + live.slice(0, 30)),
    chunk(live.slice(30) + other),
  ])
  // The blank line at its end is no part of an event.
  expect(readInPieces(stream, piece)).toEqual([
    [WELCOME, welcome.length - 2],
    [MESSAGE, live.length - 2],
    [STORED, stored.length - 2],
    [MESSAGE, live.length - 2],
    [ACK, other.length - 2],
  ])
})

test('nothing but a message is taken for one', () => {
  expect([STORED, MESSAGE].every(isMessage)).toBe(true)
  expect(
    ['welcome', 'ack', 'pong', 'position', 'presence', 'error'].filter((type) => isMessage(signatureOf(type))),
  ).toEqual([])
})

test('the end of a stream ends the run, and what is no chunk is named', () => {
  expect(() => readInPieces(Buffer.from('0\r\n\r\n'), Infinity)).toThrow('ended the stream')
  expect(() => readInPieces(Buffer.from('HTTP'), Infinity)).toThrow('unexpected byte 72')
})

function chunk(text: string): Buffer {
  return Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`)
}

/** What the reader tells; each piece is overwritten afterwards, as a reused receive buffer would be. */
function readInPieces(stream: Buffer, piece: number): [number, number][] {
  const frames: [number, number][] = []
  const reader = new EventReader({ frame: (signature, bytes) => frames.push([signature, bytes]), control() {} })
  for (let at = 0; at < stream.length; at += piece) {
    const received = Buffer.from(stream.subarray(at, Math.min(stream.length, at + piece)))
    reader.read(received)
    received.fill(0xff)
    if (piece === Infinity) break
  }
  return frames
}
