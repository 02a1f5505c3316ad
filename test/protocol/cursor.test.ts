import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatCursor, parseCursor } from '../../src/protocol/cursor.ts'

test('a cursor is decimal microseconds since 1970', () => {
  expect(formatCursor(1763600000123456)).toBe('1763600000123456')
  expect(parseCursor('1763600000123456')).toBe(1763600000123456)
  expect(parseCursor('0')).toBe(0)
})

test('every cursor that was issued is read again', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (cursor) => expect(parseCursor(formatCursor(cursor))).toBe(cursor)))
})

test('a number beyond 2^53, which would be another cursor when read, is none', () => {
  expect(parseCursor('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  expect(parseCursor('9007199254740992')).toBeUndefined()
  expect(parseCursor('9'.repeat(400))).toBeUndefined()
})

test.each([
  '',
  '-1',
  '+1',
  '01',
  '00',
  '1.0',
  '1e3',
  '0x10',
  ' 1',
  '1\n',
  '١٢٣',
  'NaN',
  'Infinity',
  '1_000',
  "1' OR '1",
])('%j is no cursor', (text) => {
  expect(parseCursor(text)).toBeUndefined()
})

test('any text is a cursor in its one spelling, or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.bigInt().map(String)), (text) => {
      const cursor = parseCursor(text)
      if (cursor !== undefined) expect(formatCursor(cursor)).toBe(text)
    }),
  )
})
