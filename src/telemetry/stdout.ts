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
/**
 * Most bytes that several processes may write into one pipe at once without cutting each other's lines in two: Linux'
 * `PIPE_BUF`. A single line that is longer, which takes an application's own fields, is not safe from that.
 */
const SHARED_PIECE_BYTES = 4096
const NEWLINE = 0x0a
/** Longest wait for the reader when the process ends, in milliseconds. */
const MAX_DRAIN_MS = 250

/**
 * Gathers the lines of one turn of the event loop into one write. While the reader does not read, lines wait up to a
 * bound; beyond it they are dropped, and a line says how many as soon as there is room again.
 */
export class BufferedOutput implements LogDestination {
  readonly #writeBytes: WriteBytes
  readonly #pieceBytes: number
  #waiting = ''
  /** What is being written: a write may take the first half of a line, and the second must follow. */
  #begun: Uint8Array = new Uint8Array(0)
  #dropped = 0
  #scheduled = false

  /** @param shared whether other processes write to the same place: then each write holds whole lines and is small. */
  constructor(writeBytes: WriteBytes, { shared = false } = {}) {
    this.#writeBytes = writeBytes
    this.#pieceBytes = shared ? SHARED_PIECE_BYTES : Number.POSITIVE_INFINITY
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
        this.#begun = this.#begun.subarray(this.#writeBytes(this.#piece()))
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

  /** As many of the lines begun as go out in one write, and at least one. */
  #piece(): Uint8Array {
    if (this.#begun.length <= this.#pieceBytes) return this.#begun
    const end = this.#begun.lastIndexOf(NEWLINE, this.#pieceBytes - 1)
    return this.#begun.subarray(0, 1 + (end === -1 ? this.#begun.indexOf(NEWLINE) : end))
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

/**
 * The process's standard output, one for all logs. What was written in the last turn is still written at the exit.
 * @param shared whether other processes have the same; the first call decides.
 */
export function standardOutput(shared: boolean): LogDestination {
  if (output) return output
  // Making Bun's own writer puts the descriptor into non-blocking mode. That writer is not used any further: what it
  // holds for a slow reader is lost at the exit.
  Bun.stdout.writer()
  const made = new BufferedOutput((bytes) => writeSync(1, bytes), { shared })
  output = made
  process.on('exit', () => made.drain())
  return made
}
