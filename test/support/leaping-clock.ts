/** Real time for a client, with leaps: what is due within one is due at once, and nobody waits for it. */
import type { ClientOptions } from 'tidings/client'

type Clock = NonNullable<NonNullable<ClientOptions['environment']>['clock']>

interface Timer {
  readonly run: () => void
  readonly due: number
  real: ReturnType<typeof setTimeout> | undefined
}

export class LeapingClock implements Clock {
  private ahead = 0
  private readonly timers = new Set<Timer>()

  now(): number {
    return performance.now() + this.ahead
  }

  set(run: () => void, ms: number): unknown {
    const timer: Timer = { run, due: this.now() + ms, real: undefined }
    this.timers.add(timer)
    this.schedule(timer)
    return timer
  }

  clear(timer: unknown): void {
    if (timer === undefined) return
    clearTimeout((timer as Timer).real)
    this.timers.delete(timer as Timer)
  }

  /** So much time passes now. What is due then runs before this returns, the earliest first. */
  leap(ms: number): void {
    this.ahead += ms
    const due = [...this.timers].filter((timer) => timer.due <= this.now()).sort((a, b) => a.due - b.due)
    for (const timer of due) this.fire(timer)
    for (const timer of this.timers) this.schedule(timer)
  }

  private schedule(timer: Timer): void {
    clearTimeout(timer.real)
    timer.real = setTimeout(() => this.fire(timer), Math.max(0, timer.due - this.now()))
  }

  private fire(timer: Timer): void {
    // An earlier one may have cleared it.
    if (!this.timers.has(timer)) return
    this.clear(timer)
    timer.run()
  }
}
