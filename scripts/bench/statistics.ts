/** The few figures that the bench quotes. */

/** The value at a share `q` (0 to 1) of the samples, interpolated between neighbours. NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const position = (sorted.length - 1) * Math.min(1, Math.max(0, q))
  const below = Math.floor(position)
  const low = sorted[below] ?? Number.NaN
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low
  return low + (high - low) * (position - below)
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5)
}

export interface Summary {
  median: number
  /** First and third quartile of the rounds: how far one round is from another. */
  q1: number
  q3: number
}

export function summarize(samples: readonly number[]): Summary {
  return { median: median(samples), q1: quantile(samples, 0.25), q3: quantile(samples, 0.75) }
}

/**
 * How fast `ours` is beside `theirs`: 1 is equal, 2 is twice as fast, whether the figure is a rate (more is better)
 * or a time or a size (less is better).
 */
export function speedRatio(ours: number, theirs: number, better: 'more' | 'less'): number {
  return better === 'more' ? ours / theirs : theirs / ours
}
