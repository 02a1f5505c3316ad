/** The one line that a test run ends with. */

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/**
 * Sums up a run from the runner's JUnit report.
 * @param exitCode the runner's. An error outside of any test appears only here, so it counts as one failure.
 * @param alsoFailed failures that are not tests: the build, a stage of the gate, coverage.
 */
export function readTotals(junit: string, exitCode: number, alsoFailed: number): Totals {
  const head = /<testsuites\b[^>]*>/.exec(junit)?.[0] ?? ''
  const count = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
  const skipped = count('skipped')
  const broken = count('failures') + count('errors')
  const passed = count('tests') - broken - skipped
  const failed = broken === 0 && exitCode !== 0 ? 1 : broken
  return { passed, failed: failed + alsoFailed, skipped }
}

export function formatTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
