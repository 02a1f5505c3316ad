/** Waiting for a condition, and an error that says what was seen instead when it does not come. */

/** Milliseconds after which what has not come counts as missing. Long: a busy machine must not fail a test. */
export const PATIENCE_MS = 10_000

/** Wakes those who wait whenever something has changed. */
export class Changes {
  private wake = Promise.withResolvers<void>()

  /** Something has changed: whoever waits looks again. */
  tell(): void {
    this.wake.resolve()
    this.wake = Promise.withResolvers()
  }

  /**
   * Resolves with the first value that `look` finds, now or after a change; rejects with what `missing` says when the
   * patience is over. What `look` throws is passed on.
   */
  async until<T>(look: () => T | undefined, missing: () => string): Promise<T> {
    const over = Promise.withResolvers<'over'>()
    const timer = setTimeout(() => over.resolve('over'), PATIENCE_MS)
    try {
      for (;;) {
        const found = look()
        if (found !== undefined) return found
        if ((await Promise.race([this.wake.promise, over.promise])) === 'over') throw new Error(missing())
      }
    } finally {
      clearTimeout(timer)
    }
  }
}
