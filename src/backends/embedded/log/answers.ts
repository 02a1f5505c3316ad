/**
 * Answers to keyed publishes, so that a retry gets the first one and stores nothing. They live in memory; each commit
 * leaves a copy in the database, from which a start rebuilds them.
 */
import type { Appended } from '../../../core/ports/log.ts'
import type { Connection } from './connection.ts'

/** Keys remembered for one scope: at 50 messages a second a retry is a matter of the last few. */
const MAX_PER_SCOPE = 256
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
  readonly answer: Appended
  /** Monotonic milliseconds after which the key may be used anew. */
  readonly until: number
}

export class Answers {
  private readonly windowMs: number
  private readonly monotonic: () => number
  /** By scope and key, oldest first. */
  private readonly scopes = new Map<string, Map<string, Known>>()
  /** Tries that have no answer yet. Apart from the others, so that however many they are, none is searched or forgotten. */
  private readonly underWay = new Map<string, Map<string, Promise<Appended>>>()
  private sweep: Iterator<[string, Map<string, Known>]> | undefined
  private readonly insert
  private readonly newestFirst
  private readonly removeOld

  constructor(db: Connection, windowMs: number, monotonic: () => number) {
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
    const underWay = this.underWay.get(scope)?.get(key)
    if (underWay !== undefined) return underWay
    const known = this.scopes.get(scope)?.get(key)
    return known !== undefined && known.until > this.monotonic() ? known.answer : undefined
  }

  /** A first try is under way: a retry joins it, and what comes of it is remembered, unless it fails. */
  follow(scope: string, key: string, answer: Promise<Appended>): void {
    inner(this.underWay, scope).set(key, answer)
    answer.then(
      (appended) => {
        remove(this.underWay, scope, key)
        this.remember(scope, key, appended, this.windowMs)
      },
      () => remove(this.underWay, scope, key),
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
        this.remember(scope, key, { cursor, id }, windowMs)
      }
    }
  }

  private remember(scope: string, key: string, answer: Appended, windowMs: number): void {
    const keys = inner(this.scopes, scope)
    keys.delete(key)
    keys.set(key, { answer, until: this.monotonic() + windowMs })
    if (keys.size <= MAX_PER_SCOPE) return
    const oldest = keys.keys().next()
    if (!oldest.done) keys.delete(oldest.value)
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
      const [scope, keys] = value
      for (const [key, known] of keys) {
        if (known.until > now) break
        keys.delete(key)
      }
      if (keys.size === 0) this.scopes.delete(scope)
    }
  }
}

function inner<T>(outer: Map<string, Map<string, T>>, scope: string): Map<string, T> {
  let keys = outer.get(scope)
  if (keys === undefined) {
    keys = new Map()
    outer.set(scope, keys)
  }
  return keys
}

function remove<T>(outer: Map<string, Map<string, T>>, scope: string, key: string): void {
  const keys = outer.get(scope)
  keys?.delete(key)
  if (keys?.size === 0) outer.delete(scope)
}
