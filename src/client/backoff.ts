/** How long to wait before the next attempt. */

/** The first wait is up to this long: with full jitter a crowd that lost one server comes back spread over it. */
const FIRST_MS = 1000
/** Waits grow no further: a server that is back after an hour is found within half a minute. */
const LONGEST_MS = 30_000

/**
 * Exponential back-off with full jitter: anything from nothing to the bound, because half a bound of certain delay would
 * bring everybody back in the second half of it.
 * @param failures attempts that failed in a row, at least 1.
 * @param random 0 up to but not 1.
 * @returns milliseconds.
 */
export function backoff(failures: number, random: () => number): number {
  // 2^16 seconds is past the longest wait; without a bound the power is infinite after a day of failures.
  const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16))
  return Math.floor(random() * bound)
}
