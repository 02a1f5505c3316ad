/** Pages in which clients are read to from the log. */
import type { StoredMessage } from './ports/log.ts'

/** Messages of one page: few enough to read in a fraction of a turn, enough to be one write. */
export const PAGE = 200
/**
 * Bytes of one page, past which no message is added: far below `limits.max_pending_bytes`, or a client that reads as fast as it can would
 * be cut off for what it was sent at once.
 */
const PAGE_BYTES = 128 * 1024

export interface PageOfRows {
  readonly rows: readonly StoredMessage[]
  /** Whether there may be more after it. */
  readonly more: boolean
}

/** What of the rows that were read, {@link PAGE} at most, makes one page: one of them at least. */
export function toPage(rows: readonly StoredMessage[]): PageOfRows {
  let bytes = 0
  let count = 0
  while (count < rows.length && (count === 0 || bytes < PAGE_BYTES)) bytes += rows[count++]?.body.length ?? 0
  return count < rows.length ? { rows: rows.slice(0, count), more: true } : { rows, more: rows.length === PAGE }
}
