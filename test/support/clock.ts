import type { Clock } from '../../src/core/clock.ts'

/** A clock that a test sets: `advance` moves both times, `jump` the wall clock alone. */
export class FakeClock implements Clock {
  private wall = Date.UTC(2030, 0, 1)
  private steady = 1000

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return this.steady
  }

  advance(ms: number): void {
    this.wall += ms
    this.steady += ms
  }

  jump(ms: number): void {
    this.wall += ms
  }
}
