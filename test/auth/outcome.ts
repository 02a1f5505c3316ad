/** What became of an attempt, in a form that can be compared as a whole. */

import type { ErrorBody } from '../../src/protocol/errors.ts'
import { TidingsError } from '../../src/protocol/errors.ts'

/** The error's body as a client would see it. Anything but a `TidingsError`, and a success, fails the test. */
export async function refusal(attempt: Promise<unknown>): Promise<ErrorBody> {
  const outcome = await attempt.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('value' in outcome) throw new Error(`not refused: ${JSON.stringify(outcome.value)}`)
  if (!(outcome.error instanceof TidingsError)) throw outcome.error
  return outcome.error.toBody()
}

export const INVALID: ErrorBody = {
  code: 'RT_002',
  error_code: 'invalid_token',
  message: 'The token is not valid',
  reconnect: false,
}

export const EXPIRED: ErrorBody = {
  code: 'RT_002',
  error_code: 'token_expired',
  message: 'The token has expired',
  reconnect: false,
}
