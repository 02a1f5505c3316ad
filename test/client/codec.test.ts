import { describe, expect, test } from 'bun:test'
import { jsonCodec } from '../../src/client/codec.ts'
import { msgpackCodec } from '../../src/client/msgpack.ts'

const FRAME = { type: 'chat', id: 'c-17', payload: { text: 'hi', file: new Uint8Array([1, 2]) } }

describe.each([jsonCodec, msgpackCodec])('$format', (codec) => {
  test('says a frame and reads it', () => {
    expect(codec.decode(codec.encode(FRAME))).toEqual(FRAME)
  })
})

test('JSON writes bytes as the protocol says', () => {
  expect(jsonCodec.encode({ b: new Uint8Array([1, 2]) })).toBe('{"b":{"$bin":"AQI="}}')
})

test('an object of somebody’s that looks like bytes and is none is no reason to lose the message', () => {
  expect(jsonCodec.decode('{"payload":{"$bin":"no base64"}}')).toEqual({ payload: { $bin: 'no base64' } })
})

test('MessagePack reads text frames too, which a server may send on any connection', () => {
  expect(msgpackCodec.decode('{"type":"a"}')).toEqual({ type: 'a' })
})
