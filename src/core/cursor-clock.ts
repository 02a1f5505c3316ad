/**
 * The hybrid logical clock that gives cursors: microseconds since 1970, or one more than the last, whichever is greater.
 * Time comes from the wall once, at the start, and then from a clock that never jumps, so that a corrected wall clock
 * neither repeats a cursor nor leaps ahead.
 */

/** A wall clock this far behind the last cursor is reported at a start: cursors then stand still until it catches up. */
export const MAX_AHEAD_MS = 5 * 60_000

/** The first microsecond of the year 2200. Cursors stay below 2^53, which is in 2255; a log beyond this has a broken clock. */
export const CURSOR_LIMIT = Date.UTC(2200, 0, 1) * 1000

export interface CursorClockStart {
  /** The wall clock at the start, in milliseconds since 1970. */
  readonly wallMs: number
  /** Milliseconds since some start, never backwards. */
  readonly monotonic: () => number
  /** The highest cursor issued before; 0: none. */
  readonly last: number
}

export class CursorClock {
  private readonly monotonic: () => number
  /** Add to the monotonic clock's milliseconds for the wall clock's. */
  private readonly offsetMs: number
  private issued: number

  constructor(start: CursorClockStart) {
    this.monotonic = start.monotonic
    this.offsetMs = start.wallMs - start.monotonic()
    this.issued = start.last
  }

  /** The highest cursor issued. */
  get last(): number {
    return this.issued
  }

  /** This moment as a cursor: microseconds since 1970. */
  now(): number {
    return Math.floor((this.offsetMs + this.monotonic()) * 1000)
  }

  /** Issues a cursor: greater than every one before. */
  next(): number {
    this.issued = Math.max(this.issued + 1, this.now())
    return this.issued
  }

  /** Milliseconds by which the last cursor is ahead of the clock; 0 where it is not. */
  aheadMs(): number {
    return Math.max(0, (this.issued - this.now()) / 1000)
  }
}
