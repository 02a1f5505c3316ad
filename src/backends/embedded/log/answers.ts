/**
 * Answers to keyed publishes, so that a retry gets the first one and stores nothing. They live in memory; each commit
 * leaves a copy in the database, from which a start rebuilds them.
 */

import type { Database } from 'bun:sqlite'
import type { Appended } from '../../../core/ports/log.ts'

/** Keys remembered for one scope, at least, and at most twice as many: at 50 messages a second a retry is one of the last few. */
const MIN_PER_SCOPE = 256
/** Keys that a start reads back, newest first: about a second's work. */
const MAX_RESTORED = 1_000_000
/** Rows, one for each commit, that a start reads at once. */
const RESTORE_STEP = 100
/** Rows, one for each commit, that one step of {@link Answers.prune} removes. */
const PRUNE_STEP = 256
/** Scopes that one step of {@link Answers.prune} looks at. */
const SWEEP_STEP = 2000

/** One of a commit's answers, without names, because there may be a thousand. */
export type KeyedAnswer = [scope: string, key: string, cursor: number, id: string]

interface Commit {
  readonly cursor: number
  readonly at: number
  readonly answers: string
}

interface Known {
  answer: Appended | Promise<Appended>
  /** Monotonic milliseconds after which the key may be used anew. */
  until: number
}

/** Keys of one scope that came one after the other. They are forgotten together, because picking the oldest costs more. */
class Generation {
  readonly keys = new Map<string, Known>()
  /** Tries without an answer yet. */
  underWay = 0
  /** When the last of them is past its window. */
  until = 0
}

class Scope {
  current = new Generation()
  previous: Generation | undefined

  find(key: string): Known | undefined {
    return this.current.keys.get(key) ?? this.previous?.keys.get(key)
  }

  /** The generation for a new key. */
  open(): Generation {
    // What is under way is never forgotten, or a retry of it would be stored too.
    if (this.current.keys.size >= MIN_PER_SCOPE && (this.previous?.underWay ?? 0) === 0) {
      this.previous = this.current
      this.current = new Generation()
    }
    return this.current
  }
}

export class Answers {
  private readonly windowMs: number
  private readonly monotonic: () => number
  private readonly scopes = new Map<string, Scope>()
  private sweep: Iterator<[string, Scope]> | undefined
  private readonly insert
  private readonly newestFirst
  private readonly removeOld

  constructor(db: Database, windowMs: number, monotonic: () => number) {
    this.windowMs = windowMs
    this.monotonic = monotonic
    this.insert = db.prepare<void, [number, number, string]>(
      'INSERT INTO answers (cursor, at, answers) VALUES (?, ?, ?)',
    )
    // In pages: a statement that is stepped through keeps an old view of the database open, and no checkpoint completes.
    this.newestFirst = db.prepare<Commit, [number, number, number]>(
      'SELECT cursor, at, answers FROM answers WHERE at > ? AND cursor < ? ORDER BY cursor DESC LIMIT ?',
    )
    this.removeOld = db.prepare<void, [number, number]>(
      'DELETE FROM answers WHERE cursor IN (SELECT cursor FROM answers ORDER BY cursor LIMIT ?) AND at <= ?',
    )
  }

  /** Scopes with at least one key. */
  get size(): number {
    return this.scopes.size
  }

  /** The first answer to a key, or the promise of it. */
  find(scope: string, key: string): Appended | Promise<Appended> | undefined {
    const known = this.scopes.get(scope)?.find(key)
    return known !== undefined && known.until > this.monotonic() ? known.answer : undefined
  }

  /** A first try is under way: a retry joins it, and what comes of it is remembered, unless it fails. */
  follow(scope: string, key: string, answer: Promise<Appended>): void {
    const generation = this.open(scope)
    const known: Known = { answer, until: Number.POSITIVE_INFINITY }
    generation.keys.set(key, known)
    generation.underWay++
    answer.then(
      (appended) => {
        generation.underWay--
        known.answer = appended
        known.until = this.monotonic() + this.windowMs
        generation.until = known.until
      },
      () => {
        generation.underWay--
        generation.keys.delete(key)
      },
    )
  }

  /** Writes a commit's answers. Inside of its transaction. */
  write(cursor: number, wallMs: number, answers: readonly KeyedAnswer[]): void {
    if (answers.length > 0) this.insert.run(cursor, wallMs, JSON.stringify(answers.flat()))
  }

  /** Reads back what is within the window. */
  restore(wallMs: number): void {
    const commits: { at: number; flat: (string | number)[] }[] = []
    let keys = 0
    let before = Number.MAX_SAFE_INTEGER
    for (let more = true; more && keys < MAX_RESTORED; ) {
      const page = this.newestFirst.all(wallMs - this.windowMs, before, RESTORE_STEP)
      for (const { cursor, at, answers } of page) {
        const flat = JSON.parse(answers) as (string | number)[]
        commits.push({ at, flat })
        keys += flat.length / 4
        before = cursor
      }
      more = page.length === RESTORE_STEP
    }
    for (const { at, flat } of commits.reverse()) {
      // A clock that was set back does not make a key last longer than the window.
      const windowMs = Math.min(this.windowMs, at + this.windowMs - wallMs)
      for (let n = 0; n < flat.length; n += 4) {
        const [scope, key, cursor, id] = flat.slice(n, n + 4) as KeyedAnswer
        const generation = this.open(scope)
        const until = this.monotonic() + windowMs
        generation.keys.set(key, { answer: { cursor, id }, until })
        generation.until = Math.max(generation.until, until)
      }
    }
  }

  /** Forgets a bounded piece of what is past the window. Inside of a transaction. */
  prune(wallMs: number): void {
    this.removeOld.run(PRUNE_STEP, wallMs - this.windowMs)
    const now = this.monotonic()
    this.sweep ??= this.scopes.entries()
    for (let n = 0; n < SWEEP_STEP; n++) {
      const { done, value } = this.sweep.next()
      if (done) {
        this.sweep = undefined
        return
      }
      const [name, scope] = value
      if (isOver(scope.previous, now)) scope.previous = undefined
      if (scope.previous === undefined && isOver(scope.current, now)) this.scopes.delete(name)
    }
  }

  private open(name: string): Generation {
    let scope = this.scopes.get(name)
    if (scope === undefined) {
      scope = new Scope()
      this.scopes.set(name, scope)
    }
    return scope.open()
  }
}

function isOver(generation: Generation | undefined, now: number): boolean {
  return generation !== undefined && generation.underWay === 0 && generation.until <= now
}
