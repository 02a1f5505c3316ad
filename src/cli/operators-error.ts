/** How an error that ended a start is told to an operator. */

/** Errors whose message says what to do: where they were thrown helps nobody. */
const OPERATORS_ERRORS: ReadonlySet<string> = new Set([
  'StoreError',
  'BackendError',
  'KeySetError',
  'ListenError',
  'WorkerStartError',
])

/** Of the errors that operators meet, what to do; of any other, where it was thrown. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (OPERATORS_ERRORS.has(error.name)) return error.message
  return error.stack ?? error.message
}
