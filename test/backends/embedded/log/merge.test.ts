import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { mergeSources, type Source } from '../../../../src/backends/embedded/log/merge.ts'

interface Row {
  readonly cursor: number
  readonly source: number
}

/** Deals cursors out to sources, each of which answers like a query. */
function deal(cursors: readonly number[], sources: number): Source<Row>[] {
  const lists: Row[][] = Array.from({ length: sources }, () => [])
  for (const [n, cursor] of cursors.entries()) {
    const source = (cursor * 7 + n) % sources
    lists[source]?.push({ cursor, source })
  }
  return lists.map((list) => (after, limit) => list.filter(({ cursor }) => cursor > after).slice(0, limit))
}

const cursors = fc
  .uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 300 })
  .map((all) => all.sort((a, b) => a - b))

test('however messages are spread over topics, a page has the first after a cursor, in order', () => {
  fc.assert(
    fc.property(
      cursors,
      fc.integer({ min: 1, max: 120 }),
      fc.nat({ max: 500 }),
      fc.integer({ min: 0, max: 200 }),
      (all, sources, after, limit) => {
        const page = mergeSources(deal(all, sources), after, limit).map(({ cursor }) => cursor)
        expect(page).toEqual(all.filter((cursor) => cursor > after).slice(0, limit))
      },
    ),
  )
})

test('page by page, every message comes once', () => {
  fc.assert(
    fc.property(cursors, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 50 }), (all, sources, limit) => {
      const read: number[] = []
      for (let after = 0; ; ) {
        const page = mergeSources(deal(all, sources), after, limit)
        read.push(...page.map(({ cursor }) => cursor))
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
