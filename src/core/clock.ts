/** Where the core takes the time from, so that a test can hold it still. */
export interface Clock {
  /** Milliseconds since 1970, for people and for the wire. May jump. */
  now(): number
  /** Milliseconds since some start, never backwards: for time-outs and rates. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** A wall time as the wire has it: seconds since 1970 with milliseconds. */
export function toTimestamp(ms: number): number {
  return Math.round(ms) / 1000
}
