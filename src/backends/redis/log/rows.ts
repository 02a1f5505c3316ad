/** Messages of several topics as one list in cursor order, fetched a piece at a time. */
import type { StoredMessage } from '../../../core/ports/log.ts'

/** A message as it stands in its topic's stream. */
export interface Row {
  readonly message: StoredMessage
  /** The last cursor of the topic before it; 0: none. Where that is not the row before, something was removed. */
  readonly previous: number
  /** It is the how manieth message of the topic. */
  readonly number: number
}

/** A topic, and the cursor after which to read it. */
export interface Wanted {
  readonly topic: string
  readonly after: number
}

/** Fetches the next rows of each topic, at most `count`; fewer: there are no more. */
export type Fetch = (wanted: readonly Wanted[], count: number) => Promise<readonly (readonly Row[])[]>

/** Rows fetched at once from one of many topics, at least: a command costs more than a few rows. */
const MIN_CHUNK = 8
/** Rows fetched at once from one topic, at most, so that no answer holds up Redis for more than a millisecond or two. */
const MAX_CHUNK = 500

interface Source {
  readonly topic: string
  rows: readonly Row[]
  next: number
  after: number
  ended: boolean
}

export class Rows {
  private readonly fetch: Fetch
  private readonly sources: readonly Source[]
  private readonly chunk: number

  /** @param page how many rows are going to be wanted at a time. */
  constructor(fetch: Fetch, topics: readonly string[], after: number, page: number) {
    this.fetch = fetch
    this.sources = topics.map((topic) => ({ topic, rows: [], next: 0, after, ended: false }))
    const share = topics.length === 1 ? page : Math.max(MIN_CHUNK, Math.ceil((page * 2) / topics.length))
    this.chunk = Math.min(share, MAX_CHUNK)
  }

  /** The next rows in cursor order, at most `limit`, of those that `wanted` lets pass; fewer: there are no more. */
  async read(limit: number, wanted: (row: Row) => boolean): Promise<Row[]> {
    const page: Row[] = []
    while (page.length < limit) {
      const empty = this.sources.filter((source) => !source.ended && source.next === source.rows.length)
      if (empty.length > 0) await this.fill(empty)
      else if (!this.take(page, limit, wanted)) break
    }
    return page
  }

  /** Takes rows until the page is full or a source has to be filled; false where there is nothing left. */
  private take(page: Row[], limit: number, wanted: (row: Row) => boolean): boolean {
    while (page.length < limit) {
      const source = this.lowest()
      const row = source?.rows[source.next]
      if (source === undefined || row === undefined) return false
      source.next++
      if (wanted(row)) page.push(row)
      if (source.next === source.rows.length && !source.ended) return true
    }
    return true
  }

  private lowest(): Source | undefined {
    let best: Source | undefined
    for (const source of this.sources) if (cursorOf(source) < cursorOf(best)) best = source
    return best
  }

  private async fill(sources: readonly Source[]): Promise<void> {
    const answers = await this.fetch(sources, this.chunk)
    for (const [place, source] of sources.entries()) {
      source.rows = answers[place] ?? []
      source.next = 0
      source.ended = source.rows.length < this.chunk
      source.after = source.rows.at(-1)?.message.cursor ?? source.after
    }
  }
}

function cursorOf(source: Source | undefined): number {
  return source?.rows[source.next]?.message.cursor ?? Number.POSITIVE_INFINITY
}
