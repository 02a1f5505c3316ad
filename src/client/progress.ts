/**
 * How far the application has got. Messages are handed on in order, but listeners may take their time and finish in another:
 * what has been processed is everything before the oldest that is still at it.
 */
import { isAfter } from './position.ts'

interface Pending {
  readonly cursor: string
  done: boolean
}

export class Progress {
  /** In the order of handing on; the first one is never done. */
  #pending: Pending[] = []
  #reached: string | undefined
  #received: string | undefined

  constructor(cursor: string | undefined) {
    this.#reached = cursor
    this.#received = cursor
  }

  /** Everything up to here has been processed. */
  get cursor(): string | undefined {
    return this.#reached
  }

  /** A message is handed on. @returns what to call when the application is done with it; calling it twice does nothing. */
  begin(cursor: string): () => void {
    const entry = { cursor, done: false }
    this.#pending.push(entry)
    return () => {
      entry.done = true
      this.#settle()
    }
  }

  /** The position is here now, with or without a message. */
  moved(cursor: string | undefined): void {
    this.#received = cursor
    this.#settle()
  }

  #settle(): void {
    let done = 0
    for (const entry of this.#pending) {
      if (!entry.done) break
      if (isAfter(entry.cursor, this.#reached)) this.#reached = entry.cursor
      done++
    }
    if (done > 0) this.#pending = this.#pending.slice(done)
    if (this.#pending.length === 0) this.#reached = this.#received
  }
}
