/** Standard output that never makes the server wait for whoever reads its log. */

import { writeSync } from 'node:fs'

export interface LogDestination {
  /** Takes whole lines. Never throws, never blocks. */
  write(line: string): void
}

/** Writes some of the bytes and returns how many; throws `EAGAIN` where the reader has no room. */
export type WriteBytes = (bytes: Uint8Array) => number

/** Most text that waits for a reader that has stopped, in UTF-16 code units: a few thousand lines. */
const MAX_WAITING_LENGTH = 1024 * 1024
/** How soon a reader without room is tried again, in milliseconds: a pipe holds 64 KiB, so this still gives 6 MB/s. */
const RETRY_MS = 10
/** Longest wait for the reader when the process ends, in milliseconds. */
const MAX_DRAIN_MS = 250

/**
 * Gathers the lines of one turn of the event loop into one write. While the reader does not read, lines wait up to a
 * bound; beyond it they are dropped, and a line says how many as soon as there is room again.
 */
export class BufferedOutput implements LogDestination {
  readonly #writeBytes: WriteBytes
  #waiting = ''
  /** What is being written: a write may take the first half of a line, and the second must follow. */
  #begun: Uint8Array = new Uint8Array(0)
  #dropped = 0
  #scheduled = false

  constructor(writeBytes: WriteBytes) {
    this.#writeBytes = writeBytes
  }

  write(line: string): void {
    if (this.#waiting.length + line.length > MAX_WAITING_LENGTH) this.#dropped++
    else this.#waiting += line
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#flush())
  }

  /** Writes what still waits: the one place that waits for the reader, and not for long. For the end of the process. */
  drain(): void {
    const end = performance.now() + MAX_DRAIN_MS
    while (!this.#writeAll() && performance.now() < end) Bun.sleepSync(1)
  }

  #flush(): void {
    this.#scheduled = !this.#writeAll()
    if (this.#scheduled) setTimeout(() => this.#flush(), RETRY_MS).unref()
  }

  /** Whether everything is out. */
  #writeAll(): boolean {
    try {
      while (this.#begun.length > 0 || this.#waiting !== '') {
        if (this.#begun.length === 0) this.#begin()
        this.#begun = this.#begun.subarray(this.#writeBytes(this.#begun))
      }
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return false
      // The reader is gone. The server goes on without a log: there is nowhere to say so.
      this.#begun = new Uint8Array(0)
      this.#waiting = ''
      return true
    }
  }

  #begin(): void {
    this.#begun = Buffer.from(this.#waiting)
    this.#waiting = ''
    if (this.#dropped === 0) return
    this.#waiting = `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), event: 'log_lines_dropped', count: this.#dropped })}\n`
    this.#dropped = 0
  }
}

let output: BufferedOutput | undefined

/** The process's standard output, one for all logs. What was written in the last turn is still written at the exit. */
export function standardOutput(): LogDestination {
  if (output) return output
  // Making Bun's own writer puts the descriptor into non-blocking mode. That writer is not used any further: what it
  // holds for a slow reader is lost at the exit.
  Bun.stdout.writer()
  const made = new BufferedOutput((bytes) => writeSync(1, bytes))
  output = made
  process.on('exit', () => made.drain())
  return made
}
