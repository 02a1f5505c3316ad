import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { mergeSources, type Source } from '../../../../src/backends/embedded/log/merge.ts'

interface Row {
  readonly cursor: number
  readonly source: number
}

/** Messages of many topics in cursor order; any of them may have long runs of its own. */
const messages = fc
  .array(
    fc.record({
      source: fc.nat({ max: 40 }),
      run: fc.integer({ min: 1, max: 40 }),
      gap: fc.integer({ min: 1, max: 9 }),
    }),
  )
  .map((runs) => {
    const all: Row[] = []
    let cursor = 0
    for (const { source, run, gap } of runs) {
      for (let n = 0; n < run; n++) {
        cursor += gap
        all.push({ cursor, source })
      }
    }
    return all
  })

/** Deals messages out to sources, each of which answers like a query. */
function deal(all: readonly Row[], sources: number): Source<Row>[] {
  const lists: Row[][] = Array.from({ length: sources }, () => [])
  for (const row of all) lists[row.source % sources]?.push(row)
  return lists.map((list) => (after, limit) => list.filter(({ cursor }) => cursor > after).slice(0, limit))
}

test('however messages are spread over topics, a page has the first after a cursor, in order', () => {
  fc.assert(
    fc.property(
      messages,
      fc.integer({ min: 1, max: 120 }),
      fc.nat({ max: 500 }),
      fc.integer({ min: 0, max: 200 }),
      (all, sources, after, limit) => {
        const page = mergeSources(deal(all, sources), after, limit)
        expect(page).toEqual(all.filter(({ cursor }) => cursor > after).slice(0, limit))
      },
    ),
  )
})

test('page by page, every message comes once', () => {
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 50 }), (all, sources, limit) => {
      const read: Row[] = []
      for (let after = 0; ; ) {
        const page = mergeSources(deal(all, sources), after, limit)
        read.push(...page)
        after = page.at(-1)?.cursor ?? after
        if (page.length < limit) break
      }
      expect(read).toEqual(all)
    }),
  )
})

test('no topics have no messages', () => {
  expect(mergeSources([], 0, 10)).toEqual([])
})
