import { TidingsError } from '../protocol/errors.ts'

/**
 * What an error came of, in a few words for the log and never for the client. Libraries quote in their messages what they
 * stumbled over: of their errors only the kind is told.
 */
export function causeOf({ cause }: TidingsError): string | undefined {
  if (typeof cause === 'string') return cause
  if (cause instanceof TidingsError) return causeOf(cause) ?? cause.errorName
  if (!(cause instanceof Error)) return undefined
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
}
