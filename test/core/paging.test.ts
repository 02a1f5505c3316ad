import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { pageOf } from '../../src/core/paging.ts'

const ascending = (a: number, b: number) => a - b
const unique = fc.uniqueArray(fc.integer(), { maxLength: 200 })

test('a page has the smallest items in order, and says whether there are more', () => {
  fc.assert(
    fc.property(unique, fc.integer({ min: 1, max: 50 }), (numbers, limit) => {
      const sorted = numbers.toSorted(ascending)
      expect(pageOf(numbers, ascending, limit)).toEqual({
        items: sorted.slice(0, limit),
        last: sorted.length > limit ? sorted[limit - 1] : undefined,
      })
    }),
  )
})

test('pages put together are the whole list, each item once', () => {
  fc.assert(
    fc.property(unique, fc.integer({ min: 1, max: 50 }), (numbers, limit) => {
      const all: number[] = []
      let after: number | undefined
      do {
        const from = after
        const page = pageOf(
          numbers.filter((number) => from === undefined || number > from),
          ascending,
          limit,
        )
        all.push(...page.items)
        after = page.last
      } while (after !== undefined)
      expect(all).toEqual(numbers.toSorted(ascending))
    }),
  )
})
