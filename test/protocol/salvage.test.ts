import { describe, expect, test } from 'bun:test'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { salvageId } from '../../src/protocol/salvage.ts'
import { wireValues } from './values.ts'

const FORMATS = {
  json: (value: unknown) => JSON.stringify(value),
  msgpack: (value: unknown) => encode(value, { maxDepth: 1000 }),
}

const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`)
const wide = Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`k${n}`, n]))

describe.each(Object.entries(FORMATS))('%s', (_format, write) => {
  test.each([
    [{ id: 'a' }, 'a'],
    [{ type: 'x', payload: deep, id: 'after what is too deep' }, 'after what is too deep'],
    [{ payload: wide, id: 'after what is too wide' }, 'after what is too wide'],
    [{ payload: { id: 'inner' }, id: 'outer', data: 1 }, 'outer'],
    [{ type: 'id', payload: ['id', { id: 'inner' }] }, undefined],
    [{ payload: 'a " \\ { [ : , "id":"no"', id: 'quoted \\" {' }, 'quoted \\" {'],
    [{ payload: 'ü'.repeat(300), id: 'ü€😀' }, 'ü€😀'],
    [{ id: 7 }, undefined],
    [{ id: '' }, undefined],
    [{ id: 'x'.repeat(65) }, undefined],
    [['id', 'a'], undefined],
    ['id', undefined],
    [5, undefined],
    [{}, undefined],
  ])('finds the id at the top, and no other: %#', (frame, id) => {
    expect(salvageId(write(frame))).toBe(id as string)
  })

  test('finds it wherever it stands, behind whatever stands before it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), wireValues()),
        fc.string({ minLength: 1, maxLength: 64 }),
        (before, id) => {
          fc.pre(!('id' in before) && !('__proto__' in before) && id.isWellFormed())
          expect(salvageId(write({ ...before, id }))).toBe(id)
        },
      ),
    )
  })
})

test('finds it behind every kind of MessagePack', () => {
  const bytes = (length: number) => new Uint8Array(length)
  const values = [
    null,
    true,
    1,
    -1,
    200,
    -200,
    70_000,
    -70_000,
    2 ** 40,
    1.5,
    'x'.repeat(40),
    'x'.repeat(300),
    'x'.repeat(70_000),
  ]
  const kinds = [
    ...values,
    bytes(3),
    bytes(300),
    bytes(70_000),
    new Date(),
    new Array(20).fill(1),
    new Array(70_000).fill(1),
  ]
  expect(salvageId(encode({ kinds, map: wide, id: 'a' }))).toBe('a')
})

test('says nothing of what is broken before it, and never fails', () => {
  for (const text of ['', '{', '{"id', '{"id":', '{"id":"a', '{"id":"\\x"}', '"', '}{"id":"a"}', '{"id":"a\n"}']) {
    expect(salvageId(text)).toBeUndefined()
  }
  const frame = encode({ type: 'x', payload: [1, 2, { a: 'b' }], id: 'abc' })
  for (let end = 0; end < frame.length; end++) expect(salvageId(frame.subarray(0, end))).toBeUndefined()
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void salvageId(bytes)))
  fc.assert(fc.property(fc.string(), (text) => void salvageId(text)))
})
