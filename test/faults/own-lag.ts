/** How late this process is itself: what it measures of a server is no better. */
import { percentile } from './fault.ts'

const EVERY_MS = 10

export class OwnLag implements Disposable {
  private readonly samples: number[] = []
  private readonly timer: ReturnType<typeof setInterval>

  constructor() {
    let due = performance.now() + EVERY_MS
    this.timer = setInterval(() => {
      const now = performance.now()
      this.samples.push(Math.max(0, now - due))
      due = now + EVERY_MS
    }, EVERY_MS)
  }

  /** Milliseconds by which 99 of 100 looks at the clock were late at most. */
  get p99(): number {
    return percentile(this.samples, 99)
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer)
  }
}
