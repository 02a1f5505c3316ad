/** What a fault test is: something that breaks, at two sizes, with figures to print. */
import { random } from '../support/random.ts'

export type Figures = Record<string, number | string>

/** Told how far a fault has come: a long one says nothing else for minutes. */
export type Progress = (reached: string) => void

export interface Fault<Size = unknown> {
  /** Its number in the list of promises tried. */
  readonly number: number
  /** A sentence about what is tried. */
  readonly title: string
  /** The size in the test command: a few seconds. */
  readonly short: Size
  /** The size that the promise names. */
  readonly long: Size
  /**
   * Breaks things and checks that what was promised holds.
   * @throws where it does not.
   */
  run(size: Size, chance: Chance, progress: Progress): Promise<Figures>
}

/** Numbers by chance that come again for the same seed. */
export class Chance {
  readonly seed: number
  /** A whole number from 0 to below this. */
  readonly below: (limit: number) => number

  constructor(seed: number) {
    this.seed = seed
    this.below = random(seed)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

/** Milliseconds below which so many percent of the samples are; 0 where there is none. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))
  return Math.round((sorted[index] ?? 0) * 10) / 10
}

/** @throws Error where something has been seen that must not be. */
export function none(what: string, found: readonly string[]): void {
  if (found.length > 0) throw new Error(`${what}: ${found.length}\n  ${found.slice(0, 5).join('\n  ')}`)
}

export function must(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise)
}

/** The fault cannot be tried on this machine; the message says what it needs. */
export class Skipped extends Error {
  override readonly name = 'Skipped'
}
