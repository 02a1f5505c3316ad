import { describe, expect, test } from 'bun:test'
import { decode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { ENCODINGS, type Encoded, encodingFor } from '../../src/protocol/encoding.ts'
import type { ServerFrame } from '../../src/protocol/frames.ts'
import { decodeJson } from '../../src/protocol/json.ts'
import { decodeMsgpack } from '../../src/protocol/msgpack.ts'
import { LIMITS, wireValues } from './values.ts'

const CHAT: ServerFrame = {
  type: 'chat',
  payload: { text: 'hi', file: new Uint8Array([1, 2]) },
  id: '0mc3',
  room: 'lobby',
  cursor: '1763600000123456',
  sender: { user_id: 'alice', device_id: 'laptop', username: 'Alice' },
  timestamp: 1763600000.123,
  correlation_id: undefined,
}

/** What a client reads: the frame, out of the lines of an event where it came as one. */
function read(encoded: Encoded): unknown {
  if (typeof encoded === 'string' && !encoded.startsWith('{')) return decodeJson(dataOf(encoded), LIMITS)
  return typeof encoded === 'string' ? decodeJson(encoded, LIMITS) : decodeMsgpack(encoded, LIMITS)
}

function dataOf(event: string): string {
  return /^(?:id: \d+\n)?data: ([^\n]*)\n\n$/u.exec(event)?.[1] ?? ''
}

test('an event has the frame on one line, and the cursor as its id where the frame moves the position', () => {
  const encoding = encodingFor('json', 'payload', 'sse')
  const frame = { type: 'a', payload: 'one\r\ntwo\u2028', timestamp: 1 }
  const json = '{"type":"a","payload":"one\\r\\ntwo\u2028","timestamp":1'
  expect(encoding.encode(frame)).toBe(`data: ${json}}\n\n`)
  expect(encoding.encode({ ...frame, cursor: '5' })).toBe(`id: 5\ndata: ${json},"cursor":"5"}\n\n`)
  expect(encoding.encode({ ...frame, cursor: '5', history: true })).toBe(
    `data: ${json},"cursor":"5","history":true}\n\n`,
  )
})

test('the text of a frame', () => {
  expect(encodingFor('json', 'payload').encode(CHAT)).toBe(
    '{"type":"chat","payload":{"text":"hi","file":{"$bin":"AQI="}},"id":"0mc3","room":"lobby",' +
      '"cursor":"1763600000123456","sender":{"user_id":"alice","device_id":"laptop","username":"Alice"},' +
      '"timestamp":1763600000.123}',
  )
})

test('with the envelope "data" the payload stands under that key and nothing else changes', () => {
  const { payload, correlation_id, ...rest } = CHAT
  for (const format of ['json', 'msgpack'] as const) {
    expect(read(encodingFor(format, 'data').encode(CHAT))).toStrictEqual({ ...rest, data: payload })
    expect(read(encodingFor(format, 'payload').encode(CHAT))).toStrictEqual({ ...rest, payload })
  }
})

test('a frame without a payload has neither key, and undefined keys are absent in every format', () => {
  for (const { encode } of ENCODINGS) {
    expect(read(encode({ type: 'position', cursor: '5', timestamp: 1, room: undefined }))).toStrictEqual({
      type: 'position',
      cursor: '5',
      timestamp: 1,
    })
  }
})

test('a payload of null is a payload', () => {
  for (const { encode, envelope } of ENCODINGS) {
    expect(read(encode({ type: 'a', payload: null, timestamp: 1 }))).toMatchObject({ [envelope]: null })
  }
})

describe('every encoding', () => {
  test('has its own index, and stands at it', () => {
    expect(ENCODINGS.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5])
    for (const encoding of ENCODINGS) {
      expect(encodingFor(encoding.format, encoding.envelope, encoding.framing)).toBe(encoding)
    }
  })

  test('says the same frame', () => {
    fc.assert(
      fc.property(wireValues(), (payload) => {
        const frame = { type: 'chat', payload, timestamp: 1763600000.123 }
        const [json, jsonData, msgpack, msgpackData, event, eventData] = ENCODINGS.map(({ encode }) =>
          read(encode(frame)),
        )
        expect(json).toEqual(frame)
        expect(msgpack).toEqual(frame)
        expect(jsonData).toEqual({ type: 'chat', data: payload, timestamp: 1763600000.123 })
        expect(msgpackData).toEqual(jsonData)
        expect([event, eventData]).toEqual([json, jsonData])
      }),
    )
  })

  test('says something that others can read, whatever a JSON client has put into the payload', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\ud800', '\udc00', '\u0000', '"', '\\') })
    fc.assert(
      fc.property(text, (value) => {
        const payload = decodeJson(JSON.stringify({ [value]: value }), LIMITS)
        for (const { encode } of ENCODINGS) {
          const encoded = encode({ type: 'chat', payload, timestamp: 1 })
          const seen: unknown = typeof encoded === 'string' ? JSON.parse(dataOf(encoded) || encoded) : decode(encoded)
          expect(seen).toMatchObject({ type: 'chat', timestamp: 1 })
        }
      }),
    )
  })

  test('says a number that JSON overflows as null', () => {
    const payload = decodeJson('{"n":1e999}', LIMITS)
    for (const { encode, envelope } of ENCODINGS) {
      expect(read(encode({ type: 'a', payload, timestamp: 1 }))).toMatchObject({ [envelope]: { n: null } })
    }
  })
})
