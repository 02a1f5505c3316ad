/**
 * Where this device stands in everything it receives. One number for every transport, because stored messages come in the
 * order of their cursors over all rooms and the inbox together.
 */

/** Whether cursor `a` is later than `b`. Cursors are decimal without leading zeros: the longer one is the later. */
export function isAfter(a: string, b: string | undefined): boolean {
  if (b === undefined) return true
  return a.length === b.length ? a > b : a.length > b.length
}

export class Position {
  /** Everything up to here has been received. `undefined`: nothing has a cursor yet. */
  cursor: string | undefined

  /** @param cursor where an earlier client of this device stood. */
  constructor(cursor: string | undefined) {
    this.cursor = cursor
  }

  /**
   * A message of the stream with a cursor arrived.
   * @returns false where the position is past it already: it came before, over this or an earlier connection.
   */
  take(cursor: string): boolean {
    if (!isAfter(cursor, this.cursor)) return false
    this.cursor = cursor
    return true
  }

  /** The server says how far it has delivered. */
  advance(cursor: unknown): void {
    if (typeof cursor === 'string') this.take(cursor)
  }

  /** The server says where it goes on from: at the beginning of a connection, and after a gap. It may lie before ours. */
  reset(cursor: unknown): void {
    if (typeof cursor === 'string') this.cursor = cursor
  }
}
