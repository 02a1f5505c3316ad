/**
 * Group commit: everything that is to be written in one turn of the event loop is one transaction. What fails, fails
 * alone: a batch that cannot be committed is rolled back and tried row by row.
 */

import type { Database } from 'bun:sqlite'
import type { Log } from '../../../core/log.ts'
import { TidingsError } from '../../../protocol/errors.ts'
import { explain, kindOf } from './database.ts'

/** Something that waits to be written. */
export interface Write {
  /** Memory that it holds while it waits. */
  readonly bytes: number
  /** Writes, inside of a transaction. Called again where the first one was rolled back. What it throws fails it alone. */
  run(): void
  /** Committed; in `full` durability also on the disk. */
  committed(): void
  failed(error: TidingsError): void
}

/** What belongs to a commit as a whole. */
export interface BatchHooks {
  /**
   * Called last in every transaction, with what was written in it.
   * @param careful the transaction failed before: only what must be written is.
   */
  finish(writes: readonly Write[], careful: boolean): void
  /** Something was rolled back: what was learned in the transaction is void. */
  undone(): void
  /** Called after the commit, once for each, in the order of the commits. Tells each write. */
  committed(writes: readonly Write[]): void
}

export interface WriterOptions {
  readonly db: Database
  readonly log: Log
  readonly hooks: BatchHooks
  readonly monotonic: () => number
  /** Bytes that may wait. */
  readonly maxQueueBytes: number
}

/**
 * Milliseconds for which one transaction may write; what is left goes into the next turn. Others wait for the event loop
 * meanwhile, and 3 ms hold more than 500 messages.
 */
const BUDGET_MS = 3
/** Writes between two looks at the clock. */
const LOOK_EVERY = 32
/** Milliseconds until a locked database is tried again. */
const BUSY_RETRY_MS = 10
/** Milliseconds for which a locked database is waited for: longer than a backup's or an operator's short transaction. */
const BUSY_PATIENCE_MS = 2000
/** When a publisher should try again whose message found the queue full: at full speed it is empty by then. */
const FULL_RETRY_MS = 250
/** When a publisher should try again while the store cannot be written. */
const FAILING_RETRY_MS = 1000

export class Writer {
  private readonly options: WriterOptions
  private readonly begin
  private readonly commit
  private readonly rollback
  private readonly savepoint
  private readonly release
  private readonly rollbackTo
  private queue: Write[] = []
  private queuedBytes = 0
  private scheduled = false
  private paused = false
  private closed = false
  private busySince: number | undefined
  private failure: string | undefined
  private idle: (() => void)[] = []

  constructor(options: WriterOptions) {
    this.options = options
    const { db } = options
    this.begin = db.prepare('BEGIN IMMEDIATE')
    this.commit = db.prepare('COMMIT')
    this.rollback = db.prepare('ROLLBACK')
    this.savepoint = db.prepare('SAVEPOINT one')
    this.release = db.prepare('RELEASE one')
    this.rollbackTo = db.prepare('ROLLBACK TO one')
  }

  /** Why the last transaction failed; absent: it did not. */
  get failing(): string | undefined {
    return this.failure
  }

  /** @throws TidingsError `unavailable`: too much is waiting, or the store is closed. */
  enqueue(write: Write): void {
    if (this.closed) throw new TidingsError('unavailable', 'The server is shutting down')
    if (this.queuedBytes + write.bytes > this.options.maxQueueBytes) {
      throw new TidingsError('unavailable', 'Too many messages are waiting to be stored', {
        retryAfterMs: FULL_RETRY_MS,
      })
    }
    this.queue.push(write)
    this.queuedBytes += write.bytes
    this.schedule()
  }

  /** Holds all writing, so that another connection can write without a conflict. */
  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    if (this.queue.length > 0) this.schedule()
  }

  /** Refuses what comes from now on; resolves when what was waiting is written or has failed. */
  async close(): Promise<void> {
    this.closed = true
    if (this.queue.length === 0) return
    const idle = new Promise<void>((resolve) => this.idle.push(resolve))
    this.schedule()
    await idle
  }

  private schedule(): void {
    if (this.scheduled || this.paused) return
    this.scheduled = true
    setImmediate(this.flush)
  }

  private readonly flush = (): void => {
    this.scheduled = false
    if (this.paused || this.queue.length === 0) return
    const taken = this.writeBatch()
    if (taken === 'busy') {
      this.scheduled = true
      setTimeout(this.flush, BUSY_RETRY_MS)
      return
    }
    if (this.queue.length > 0) {
      this.schedule()
      return
    }
    for (const resolve of this.idle.splice(0)) resolve()
  }

  private writeBatch(): 'busy' | 'done' {
    const { hooks, monotonic } = this.options
    let count = 0
    try {
      this.begin.run()
      const until = monotonic() + BUDGET_MS
      for (const write of this.queue) {
        count++
        write.run()
        if (count % LOOK_EVERY === 0 && monotonic() > until) break
      }
      const written = this.queue.slice(0, count)
      hooks.finish(written, false)
      this.commit.run()
      this.take(count)
      this.succeed(written)
    } catch (error) {
      this.undo()
      const kind = kindOf(error)
      if (kind === 'busy' && this.isPatient()) return 'busy'
      if (kind === 'row') this.oneByOne(this.take(count))
      else this.fail(this.take(Math.max(count, kind === 'busy' ? this.queue.length : 1)), error)
    }
    return 'done'
  }

  /** One bad row fails alone, the others of its batch are committed together. */
  private oneByOne(writes: readonly Write[]): void {
    const { hooks, log } = this.options
    const written: Write[] = []
    const refused: [write: Write, error: unknown][] = []
    try {
      this.begin.run()
      for (const write of writes) {
        this.savepoint.run()
        try {
          write.run()
          written.push(write)
        } catch (error) {
          if (kindOf(error) !== 'row') throw error
          this.rollbackTo.run()
          hooks.undone()
          refused.push([write, error])
        }
        this.release.run()
      }
      hooks.finish(written, true)
      this.commit.run()
    } catch (error) {
      this.undo()
      this.fail(writes, error)
      return
    }
    for (const [write, error] of refused) {
      log.error('store_row_failed', { error: explain(error) })
      write.failed(TidingsError.from(error))
    }
    this.succeed(written)
  }

  private succeed(written: readonly Write[]): void {
    this.busySince = undefined
    if (this.failure !== undefined) {
      this.failure = undefined
      this.options.log.info('store_recovered')
    }
    this.options.hooks.committed(written)
  }

  private fail(writes: readonly Write[], error: unknown): void {
    const why = explain(error)
    if (this.failure !== why) this.options.log.error('store_failing', { reason: why, error: String(error) })
    this.failure = why
    this.busySince = undefined
    const refusal = new TidingsError('unavailable', 'The message cannot be stored at the moment', {
      retryAfterMs: FAILING_RETRY_MS,
      cause: error,
    })
    for (const write of writes) write.failed(refusal)
  }

  private undo(): void {
    // Some failures have ended the transaction already, and a second rollback would hide them behind its own.
    if (this.options.db.inTransaction) this.rollback.run()
    this.options.hooks.undone()
  }

  private isPatient(): boolean {
    const now = this.options.monotonic()
    this.busySince ??= now
    return now - this.busySince < BUSY_PATIENCE_MS
  }

  private take(count: number): readonly Write[] {
    const taken = this.queue.slice(0, count)
    this.queue = this.queue.slice(count)
    for (const write of taken) this.queuedBytes -= write.bytes
    return taken
  }
}
