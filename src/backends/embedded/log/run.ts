/** The beginning of a run: where the last one ended, whether its positions are still good, and what the next is left. */

import type { Database } from 'bun:sqlite'
import { statSync } from 'node:fs'
import { CURSOR_LIMIT, CursorClock, MAX_AHEAD_MS } from '../../../core/cursor-clock.ts'
import type { Log } from '../../../core/log.ts'
import { brokenBy, type Found } from './continuity.ts'
import { IN_MEMORY } from './database.ts'
import { Facts, type RunFacts } from './facts.ts'
import { bootId, fileId, fingerprint } from './file-identity.ts'
import { Messages } from './messages.ts'
import { StoreError } from './store-error.ts'
import type { StoreLock } from './store-lock.ts'

export interface RunOptions {
  readonly db: Database
  readonly path: string
  readonly lock: StoreLock | undefined
  /** What was found before the database was opened. */
  readonly found: Found
  readonly durability: 'process' | 'full'
  readonly horizonMs: number
  readonly wallMs: number
  readonly monotonic: () => number
  readonly log: Log
}

export interface Run {
  readonly clock: CursorClock
  readonly facts: Facts
  /** Since which cursor the log is without a hole. */
  readonly completeSince: number
  readonly name: string
}

/** Looks at the file before it is opened: opening it changes what is to be seen. */
export function lookAt(path: string, lock: StoreLock | undefined): Found {
  const witness = lock?.witness() ?? { run: '', file: '' }
  return {
    witnessRun: witness.run,
    witnessFile: witness.file,
    fingerprint: fingerprint(path),
    file: fileId(path),
    boot: bootId(),
    hasWal: (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0,
  }
}

/** @throws StoreError where the clock that gave the last cursor was broken. */
export function beginRun(options: RunOptions): Run {
  const { db, durability, found, horizonMs, lock, log, path } = options
  const facts = new Facts(db)
  const left = facts.read()
  const last = Math.max(left?.last ?? 0, new Messages(db).last())
  const clock = new CursorClock({ wallMs: options.wallMs, monotonic: options.monotonic, last })
  checkClock(path, clock, log)
  const completeSince = continues(left, options) ?? clock.next()
  const name = crypto.randomUUID()
  db.transaction(() => {
    facts.write({
      last: clock.last,
      complete_since: completeSince,
      horizon_ms: horizonMs,
      run: name,
      clean: 0,
      durability,
      boot: found.boot,
      file: path === IN_MEMORY ? '' : fileId(path),
    })
  }).immediate()
  lock?.testify({ run: name, file: '' })
  return { clock, facts, completeSince, name }

  /** Since when the log is complete, where it is what the last run left. */
  function continues(left: RunFacts | undefined, { found, horizonMs }: RunOptions): number | undefined {
    if (left === undefined) return undefined
    const why = brokenBy(left, found)
    if (why !== undefined) {
      log.warn('store_not_continued', {
        reason: why,
        effect: 'positions from before this start are answered with a gap',
      })
      return undefined
    }
    // The last run may have forgotten topics that this one would still have to remember.
    const forgotten = left.horizon_ms < horizonMs ? clock.now() - left.horizon_ms * 1000 : 0
    return Math.max(left.complete_since, forgotten)
  }
}

/** The last words of a run. The database is closed after them, and its file not touched again. */
export function endRun(facts: Facts, last: number): void {
  facts.write({ last, clean: 1 })
}

function checkClock(path: string, clock: CursorClock, log: Log): void {
  if (Math.max(clock.last, clock.now()) >= CURSOR_LIMIT) {
    const ahead = clock.last >= CURSOR_LIMIT ? `The last message in ${path} was dated` : 'This machine says that it is'
    throw new StoreError(
      `${ahead} after the year 2200: a clock was wrong. Set the clock, and start with another store.path or a backup.`,
    )
  }
  const aheadMs = clock.aheadMs()
  if (aheadMs <= MAX_AHEAD_MS) return
  log.warn('store_ahead_of_clock', {
    ahead_ms: Math.round(aheadMs),
    effect: 'new messages are dated after the last stored one until the clock has caught up',
  })
}
