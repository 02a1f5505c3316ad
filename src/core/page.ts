/** Pages in which clients are read to from the log. */
import type { StoredMessage } from './ports/log.ts'

/** Messages of one page: few enough to read in a fraction of a turn, enough to be one write. */
export const PAGE = 200
/**
 * Bytes of one page, past which no message is added: far below `limits.max_pending_bytes`, or a client that reads as fast as it can would
 * be cut off for what it was sent at once.
 */
const PAGE_BYTES = 128 * 1024

export interface PageOf<T> {
  readonly rows: readonly T[]
  /** Whether there may be more after it. */
  readonly more: boolean
}

/** What of the rows that were read, {@link PAGE} at most, makes one page: one of them at least. */
export function toPage<T extends Pick<StoredMessage, 'body'>>(rows: readonly T[]): PageOf<T> {
  let bytes = 0
  let count = 0
  while (count < rows.length && (count === 0 || bytes < PAGE_BYTES)) bytes += rows[count++]?.body.length ?? 0
  return count < rows.length ? { rows: rows.slice(0, count), more: true } : { rows, more: rows.length === PAGE }
}

/**
 * The first `limit` rows of several pages, each with the first `limit` of its own topic, in cursor order. Fewer: there are
 * no more.
 */
export function mergePages<T extends Pick<StoredMessage, 'cursor'>>(
  pages: readonly (readonly T[])[],
  limit: number,
): readonly T[] {
  const filled = pages.filter((page) => page.length > 0)
  const [only] = filled
  if (filled.length <= 1) return only ?? []
  return filled
    .flat()
    .sort((a, b) => a.cursor - b.cursor)
    .slice(0, limit)
}
