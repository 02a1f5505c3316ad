/** What comes in besides JSON: parameters of an address. */
import { TidingsError } from '../protocol/errors.ts'
import { queryOf } from './address.ts'

/** Items on a page where nobody says how many. */
export const DEFAULT_PAGE = 50
/** Most items on a page: a thousand records are about half a megabyte. */
export const MAX_PAGE = 1000

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

/**
 * The number of items that one page has.
 * @param asked what the schema has let through. In a minified build that is any number: Elysia recognises the error of a
 *   range by the name of a class, which the build has shortened, and drops it.
 * @throws TidingsError `invalid_message`
 */
export function pageSize(asked: number | undefined): number {
  const limit = Number(asked ?? DEFAULT_PAGE)
  if (limit >= 1 && limit <= MAX_PAGE) return limit
  throw outOfRange()
}

export function outOfRange(): TidingsError {
  return new TidingsError('invalid_message', 'A parameter is out of its range')
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
