/** Several ordered lists read as one, a page at a time. */

interface Ordered {
  readonly cursor: number
}

/** Reads at most `limit` rows after a cursor, in cursor order; fewer: there are no more. */
export type Source<T extends Ordered> = (after: number, limit: number) => readonly T[]

/** Rows fetched at once from one of many sources, at least: a query costs more than a few rows. */
const MIN_CHUNK = 8

/** The first `limit` rows after a cursor of all sources together, in cursor order. */
export function mergeSources<T extends Ordered>(sources: readonly Source<T>[], after: number, limit: number): T[] {
  const [only] = sources
  if (only === undefined || limit <= 0) return []
  if (sources.length === 1) return [...only(after, limit)]
  const chunk = Math.min(limit, Math.max(MIN_CHUNK, Math.ceil((limit * 2) / sources.length)))
  const heads: Head<T>[] = []
  for (const source of sources) {
    const head = new Head(source, after, chunk)
    if (head.row !== undefined) heads.push(head)
  }
  const merged: T[] = []
  while (merged.length < limit) {
    const next = lowest(heads)
    if (next?.row === undefined) break
    merged.push(next.row)
    next.advance()
    if (next.row === undefined) heads.splice(heads.indexOf(next), 1)
  }
  return merged
}

class Head<T extends Ordered> {
  row: T | undefined
  private rows: readonly T[]
  private index = 0
  private readonly source: Source<T>
  private readonly chunk: number

  constructor(source: Source<T>, after: number, chunk: number) {
    this.source = source
    this.chunk = chunk
    this.rows = source(after, chunk)
    this.row = this.rows[0]
  }

  advance(): void {
    const last = this.row
    this.index++
    if (this.index === this.rows.length && this.rows.length === this.chunk && last !== undefined) {
      this.rows = this.source(last.cursor, this.chunk)
      this.index = 0
    }
    this.row = this.rows[this.index]
  }
}

function lowest<T extends Ordered>(heads: readonly Head<T>[]): Head<T> | undefined {
  let best: Head<T> | undefined
  for (const head of heads) {
    if (best?.row === undefined || (head.row !== undefined && head.row.cursor < best.row.cursor)) best = head
  }
  return best
}
