/** Whether a log still holds everything that a topic got after a position. One look-up, one comparison, no guessing. */

/** What a log knows of a topic. Everything is a cursor, but `horizon`. */
export interface Completeness {
  /** Since when the log is without a hole: its birth, or a start after which its tail cannot be trusted. */
  readonly completeSince: number
  /** Microseconds for which the log remembers what it removed from topics that are empty now. */
  readonly horizon: number
  /** The last cursor removed from the topic; 0: none. */
  readonly trimmed: number
  /** The highest cursor issued. */
  readonly last: number
  /** This moment. */
  readonly now: number
}

/** The lowest position from which the topic is complete. */
export function completeFrom(known: Completeness): number {
  return Math.max(known.completeSince, known.now - known.horizon, known.trimmed)
}

/** Whether a reader at `position` can get everything that came after it. A position from the future is no one's. */
export function isRecoverable(position: number, known: Completeness): boolean {
  return position >= completeFrom(known) && position <= Math.max(known.last, known.now)
}

/** Whether nothing was removed that came after it. Asked where all else is known: the position was looked at before. */
export function isStillThere(position: number, { trimmed }: Pick<Completeness, 'trimmed'>): boolean {
  return position >= trimmed
}
