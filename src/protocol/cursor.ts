/** Cursors: microseconds since 1970 as decimal strings; clients treat them as opaque. */

/** Below 2^53, so that a cursor is a number without loss until the year 2255. */
const CURSOR = /^(?:0|[1-9][0-9]{0,15})$/

export function formatCursor(cursor: number): string {
  return String(cursor)
}

/** The cursor that a client brought, or `undefined` where the text is none. */
export function parseCursor(text: string): number | undefined {
  if (!CURSOR.test(text)) return undefined
  const cursor = Number(text)
  return Number.isSafeInteger(cursor) ? cursor : undefined
}
