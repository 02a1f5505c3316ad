/**
 * Remembers the answers to publishes, so that a retry gets the first answer and delivers nothing. A retry of a publish
 * that is still under way joins it.
 */
import type { Clock } from './clock.ts'
import type { MaybePromise } from './maybe-promise.ts'

interface Entry<T> {
  /** A function: another instance has given it, and it is made up when somebody asks. */
  readonly answer: MaybePromise<T> | (() => MaybePromise<T>)
  /** Monotonic milliseconds after which the id may be used anew. */
  readonly until: number
}

/** Ids remembered for one device: at the default rate of 50 a second a retry is a matter of the last few. */
const MAX_PER_SCOPE = 256

export class Idempotency<T> {
  private readonly scopes = new Map<string, Map<string, Entry<T>>>()
  private readonly clock: Clock
  private readonly windowMs: number

  constructor(clock: Clock, windowMs: number) {
    this.clock = clock
    this.windowMs = windowMs
  }

  /** Scopes with at least one remembered id. */
  get size(): number {
    return this.scopes.size
  }

  /**
   * The answer for an id: the remembered one, or what `run` gives now. What throws or rejects is forgotten, so that a
   * retry is a new attempt.
   */
  once(scope: string, id: string, run: () => MaybePromise<T>): MaybePromise<T> {
    const now = this.clock.monotonic()
    const known = this.scopes.get(scope)?.get(id)
    if (known !== undefined && known.until > now) return answerOf(known)
    const answer = run()
    const entry = { answer, until: now + this.windowMs }
    this.remember(scope, id, entry)
    if (answer instanceof Promise) this.settle(scope, id, entry, answer)
    return answer
  }

  /**
   * Notes that another instance has given an answer.
   * @param answer makes it up for whoever asks again here.
   * @returns false where the id is known already.
   */
  note(scope: string, id: string, answer: () => MaybePromise<T>): boolean {
    const now = this.clock.monotonic()
    if ((this.scopes.get(scope)?.get(id)?.until ?? 0) > now) return false
    this.remember(scope, id, { answer, until: now + this.windowMs })
    return true
  }

  /** Forgets what is past its window. Called every few seconds. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [scope, ids] of this.scopes) {
      for (const [id, entry] of ids) {
        if (entry.until > now) break
        ids.delete(id)
      }
      if (ids.size === 0) this.scopes.delete(scope)
    }
  }

  private remember(scope: string, id: string, entry: Entry<T>): void {
    let ids = this.scopes.get(scope)
    if (ids === undefined) {
      ids = new Map()
      this.scopes.set(scope, ids)
    }
    ids.delete(id)
    ids.set(id, entry)
    forgetOldest(ids)
  }

  private settle(scope: string, id: string, entry: Entry<T>, answer: Promise<T>): void {
    answer.catch(() => {
      const ids = this.scopes.get(scope)
      if (ids?.get(id) === entry) ids.delete(id)
    })
  }
}

function answerOf<T>({ answer }: Entry<T>): MaybePromise<T> {
  return typeof answer === 'function' ? (answer as () => MaybePromise<T>)() : answer
}

function forgetOldest(ids: Map<string, unknown>): void {
  for (const oldest of ids.keys()) {
    if (ids.size <= MAX_PER_SCOPE) return
    ids.delete(oldest)
  }
}
