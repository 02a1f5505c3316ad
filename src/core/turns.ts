/**
 * Takes turns with the rest of the server. Work that is cut into pieces asks for a turn before each; the pieces of all who
 * ask share a few milliseconds of each turn of the event loop, so that a crowd that catches up holds up nobody.
 */
import type { Clock } from './clock.ts'

/** Milliseconds of one turn of the event loop that the pieces may take together. */
const BUDGET_MS = 4

export class Turns {
  private readonly clock: Clock
  private readonly waiting: (() => void)[] = []
  private scheduled = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Runs a piece of work when it is its turn. */
  take(piece: () => void): void {
    this.waiting.push(piece)
    this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => this.serve())
  }

  private serve(): void {
    this.scheduled = false
    const until = this.clock.monotonic() + BUDGET_MS
    // Pieces that are asked for meanwhile belong to the next turn, or two who take turns with each other would never stop.
    for (let left = this.waiting.length; left > 0 && this.clock.monotonic() < until; left--) this.waiting.shift()?.()
    if (this.waiting.length > 0) this.schedule()
  }
}
