/**
 * Copies the write-ahead log back into the database while the server goes on. Checkpoints wait for the disk, up to tens of
 * milliseconds, so a thread of its own does them. While messages keep coming, the log never comes to an end, and would
 * grow for ever: so at the end, for the little that is left, writing pauses. Publishers wait for that; nobody else does.
 */

import type { Database } from 'bun:sqlite'
import type { Worker } from 'node:worker_threads'
import type { Log } from '../../../core/log.ts'
import { type Reply, type Request, startCheckpointThread } from './checkpoint-thread.ts'

export interface CheckpointerOptions {
  readonly db: Database
  readonly path: string
  readonly log: Log
  /** Holds and releases the writer. */
  readonly pause: () => void
  readonly resume: () => void
}

/**
 * Pages of 4 KiB in the log at which it is copied: 64 MiB. A page that was written to many times is copied once, and after a
 * copy the writer reads what it had in memory anew: with 1,000 busy rooms a quarter of this cost a quarter of the speed.
 */
const START_PAGES = 16_000
/** Pages that may be left for the copy during which writing pauses. */
const PAUSE_PAGES = 1000
/** Copies without a pause before there is one whatever is left: a log that grows faster than it is copied is held up. */
const MAX_ROUNDS = 4
/** Pages in the log at which writing pauses at once, while the first copies are under way: 160 MiB. */
const HOLD_PAGES = 40_000
/** Milliseconds after which a pause ends whatever the disk does. */
const MAX_PAUSE_MS = 1000
/** Milliseconds for which the thread's end is waited for. */
const MAX_CLOSE_MS = 2000
/** Milliseconds for which the thread waits for a lock. */
const BUSY_MS = 2000
/** Milliseconds until the next try after one that failed, or that could not finish because of another process' reader. */
const RETRY_MS = 5000
/** Pages in the log that are reported: 512 MiB. Something keeps the log from being copied. */
const WARN_PAGES = 131_072

export class Checkpointer {
  private readonly options: CheckpointerOptions
  private readonly size
  private worker: Worker | undefined
  private state: 'idle' | 'copying' | 'pausing' | 'waiting' | 'closed' = 'idle'
  private rounds = 0
  /** Whether there was a pause in this go already. */
  private held = false
  private pauseTimer: ReturnType<typeof setTimeout> | undefined
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private warned = false
  private onClosed: (() => void) | undefined

  constructor(options: CheckpointerOptions) {
    this.options = options
    // Measured: 0.7 microseconds, and no lock.
    this.size = options.db.prepare<{ log: number }, []>('PRAGMA wal_checkpoint(NOOP)')
  }

  /** To be called after every commit. */
  committed(): void {
    if (this.state === 'pausing' || this.state === 'closed') return
    const pages = this.size.get()?.log ?? 0
    if (pages > WARN_PAGES && !this.warned) {
      this.warned = true
      this.options.log.warn('store_checkpoint_late', { pages })
    }
    if (this.state === 'idle' && pages >= START_PAGES) this.start()
    else if (this.state === 'copying' && pages >= HOLD_PAGES && !this.held) this.hold()
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    this.state = 'closed'
    clearTimeout(this.retryTimer)
    this.endPause()
    const { worker } = this
    if (worker === undefined) return
    await new Promise<void>((resolve) => {
      this.onClosed = resolve
      // The end of the process must not depend on a thread that hangs on the disk.
      setTimeout(resolve, MAX_CLOSE_MS).unref()
      worker.ref()
      this.send({ close: true })
    })
    void worker.terminate()
  }

  private start(): void {
    if (this.worker === undefined) {
      this.worker = startCheckpointThread((reply) => this.replied(reply))
      this.send({ open: this.options.path, busyMs: BUSY_MS })
    }
    this.state = 'copying'
    this.rounds = 0
    this.held = false
    this.send({ restart: false })
  }

  private replied(reply: Reply): void {
    if ('closed' in reply) {
      this.onClosed?.()
    } else if ('error' in reply) {
      this.options.log.warn('store_checkpoint_failed', { error: reply.error })
      this.onClosed?.()
      // It may be beyond help: the next try gets a new one.
      void this.worker?.terminate()
      this.worker = undefined
      this.finish(false)
    } else if (this.state === 'pausing') {
      this.finish(reply.restarted)
    } else if (this.state === 'copying') {
      this.rounds++
      if (reply.left > PAUSE_PAGES && this.rounds < MAX_ROUNDS && !this.held) this.send({ restart: false })
      else this.copyLast()
    }
  }

  private copyLast(): void {
    this.state = 'pausing'
    this.hold()
    this.send({ restart: true })
  }

  private hold(): void {
    this.held = true
    this.options.pause()
    clearTimeout(this.pauseTimer)
    this.pauseTimer = setTimeout(() => this.endPause(), MAX_PAUSE_MS)
  }

  private finish(done: boolean): void {
    this.endPause()
    if (this.state === 'closed') return
    if (done) {
      this.state = 'idle'
      this.warned = false
      return
    }
    this.state = 'waiting'
    this.retryTimer = setTimeout(() => {
      this.state = 'idle'
      this.committed()
    }, RETRY_MS)
    this.retryTimer.unref()
  }

  private endPause(): void {
    clearTimeout(this.pauseTimer)
    this.pauseTimer = undefined
    this.options.resume()
  }

  private send(request: Request): void {
    this.worker?.postMessage(request)
  }
}
