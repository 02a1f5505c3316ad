/**
 * How far a client has come that fetches what it receives. It brings its position with each fetch, so the server need not
 * guess: what it brings has arrived, and what it was given since may be on its way or lost.
 */

/** Own messages that are remembered until the client is past them. What is older comes back to it, with the id it knows. */
const MAX_OWN = 1000

export class Fetching {
  /** Where each topic of the log begins. */
  from: ReadonlyMap<string, number> = new Map()
  /** Everything up to this cursor has arrived: the client has said so. */
  position = 0
  /** Everything up to this cursor was given to the client at least once. */
  given = 0
  /** Whether something was fetched yet: before, the plan of the session says what is missing. */
  begun = false
  /** Topics of which the plan says it. */
  told: ReadonlySet<string> = new Set()
  private own: number[] = []

  /** Begins at a position, or begins anew at another. */
  begin(from: ReadonlyMap<string, number>, position: number, told: ReadonlySet<string>): void {
    this.from = from
    this.told = told
    this.position = position
    this.given = Math.max(this.given, position)
    this.begun = false
  }

  /** The client comes with its position. */
  arrived(position: number): void {
    this.position = position
    this.own = this.own.filter((cursor) => cursor > position)
  }

  /** A message of the client's own, of which it gets no copy. */
  skip(cursor: number): void {
    this.own.push(cursor)
    if (this.own.length > MAX_OWN) this.own.shift()
  }

  skips(cursor: number): boolean {
    return this.own.includes(cursor)
  }
}
