/** Reading from a store that may fail. */
import { TidingsError } from '../../../protocol/errors.ts'
import { kindOf } from './database.ts'

/** When a reader should try again. */
const RETRY_MS = 1000

/** @throws TidingsError `unavailable` where the database fails. */
export function readSafely<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof TidingsError || kindOf(error) === 'row') throw error
    throw new TidingsError('unavailable', 'Stored messages cannot be read at the moment', {
      retryAfterMs: RETRY_MS,
      cause: error,
    })
  }
}
