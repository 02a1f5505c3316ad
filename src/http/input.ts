/** What comes in besides JSON: parameters of an address. */
import { TidingsError } from '../protocol/errors.ts'
import { queryOf } from './address.ts'

/**
 * Refuses parameters that are not known or given twice. A misspelt filter would otherwise be no filter, and an
 * operation meant for a few would be done to all.
 * @throws TidingsError `invalid_message`
 */
export function onlyKnown(request: Request, known: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of queryOf(request).keys()) {
    if (!known.includes(name)) {
      throw new TidingsError('invalid_message', 'Unknown parameter', { details: { allowed: known } })
    }
    if (seen.has(name)) {
      throw new TidingsError('invalid_message', `${name} is given twice`, { details: { field: name } })
    }
    seen.add(name)
  }
}

/** A position in a list as clients see it: they hand back what they were given. */
export function toPosition(...parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/**
 * Reads what {@link toPosition} wrote.
 * @throws TidingsError `invalid_message` where it did not.
 */
export function fromPosition(text: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (Array.isArray(parts)) return parts
  } catch {
    // Not what we wrote, whatever it is.
  }
  throw invalidPosition()
}

export function invalidPosition(): TidingsError {
  return new TidingsError('invalid_message', 'Invalid after: the next of the page before is expected', {
    details: { field: 'after' },
  })
}
