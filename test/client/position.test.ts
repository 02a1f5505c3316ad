import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isAfter, Position } from '../../src/client/position.ts'

test('cursors are compared as the numbers they are, without becoming numbers', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.bigInt({ min: 0n, max: 10n ** 20n }), (a, b) => {
      expect(isAfter(String(a), String(b))).toBe(a > b)
    }),
  )
  expect(isAfter('0', undefined)).toBe(true)
})

describe('a position', () => {
  test('takes each cursor once, and none that it is past', () => {
    const position = new Position(undefined)
    expect(['5', '7', '7', '6', '10'].map((cursor) => position.take(cursor))).toEqual([true, true, false, false, true])
    expect(position.cursor).toBe('10')
  })

  test('starts where an earlier client stood', () => {
    expect(new Position('7').take('7')).toBe(false)
    expect(new Position('7').take('8')).toBe(true)
  })

  test('advances with what the server has delivered, never back, and not by what is no cursor', () => {
    const position = new Position('5')
    for (const cursor of ['7', '6', undefined, null, 9]) position.advance(cursor)
    expect(position.cursor).toBe('7')
  })

  test('goes back where the server starts from further back', () => {
    const position = new Position('99')
    position.reset('7')
    position.reset(undefined)
    expect(position.cursor).toBe('7')
  })
})
