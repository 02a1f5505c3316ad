/** Lengths of time as people write them: a whole number and a unit. */

/** Milliseconds of each unit, longest first. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** What a duration looks like to the type checker. */
export type Duration = `${number}${keyof typeof UNITS}`

/** Milliseconds of `500ms`, `30s`, `15m`, `1h` or `7d`; `undefined` where the text is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text)
  if (!match) return undefined
  const milliseconds = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined
}

/** The shortest text that `parseDuration` reads as that many milliseconds. */
export function formatDuration(milliseconds: number): Duration {
  if (milliseconds === 0) return '0s'
  for (const [unit, size] of Object.entries(UNITS)) {
    if (milliseconds % size === 0) return `${milliseconds / size}${unit}` as Duration
  }
  return `${milliseconds}ms`
}
