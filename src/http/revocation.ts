/** A revocation as a backend asks for it, and the rules that it is read by. */
import { type Static, t } from 'elysia'
import type { LogFields } from '../core/log.ts'
import { type Revocation, Scopes, WHENEVER } from '../core/revocation.ts'
import { TidingsError } from '../protocol/errors.ts'
import { toIdentifier } from '../protocol/names.ts'
import { Identifier } from './schemas.ts'

const DAY_S = 86_400
/**
 * Seconds for which a revocation is kept where nobody says when the tokens end: a season. Whoever has tokens that live
 * longer says so, and whoever revokes many that end soon saves the server's memory by saying that.
 */
export const DEFAULT_KEPT_S = 90 * DAY_S
/** Most seconds: a year. A token that lives longer is ended by changing the secret; a time further ahead is in milliseconds. */
export const MAX_KEPT_S = 366 * DAY_S
/** How far ahead `issued_before` may be, in seconds: as far as the `iat` of a token. Later would be a ban, or milliseconds. */
export const MAX_AHEAD_S = 60

/** Backends know users by names or by numbers. */
const Id = (description: string) => t.Union([Identifier(description), t.Integer()], { description })
const Time = (description: string) => t.Number({ description: `${description} Seconds since 1970.` })

export const RevocationBody = t.Object(
  {
    jti: t.Optional(Identifier('The one token with this `jti`. Alone, or with `expires_at`.')),
    user_id: t.Optional(Id('All tokens of this user.')),
    device_id: t.Optional(Id('Only those of this device of the user.')),
    issued_before: t.Optional(
      Time(
        `Only tokens whose \`iat\` is before; those without one always. Without a user: everybody's tokens. Default: the present second. At most ${MAX_AHEAD_S} seconds ahead.`,
      ),
    ),
    expires_at: t.Optional(
      Time(
        `When the tokens have ended by themselves, until which this is remembered. Default: in ${DEFAULT_KEPT_S / DAY_S} days; at most in ${MAX_KEPT_S / DAY_S}.`,
      ),
    ),
  },
  // Kept, to be refused: a misspelt user_id beside issued_before would otherwise be everybody.
  { title: 'Revocation', description: 'Whose tokens are taken back.', additionalProperties: true },
)

const FIELDS = Object.keys(RevocationBody.properties)

export interface ReadRevocation {
  readonly revocation: Revocation
  /** What it is about, for the log. */
  readonly names: LogFields
}

/**
 * @param now milliseconds since 1970.
 * @param toleranceMs milliseconds for which a token is taken past its end, and a revocation is kept past its own.
 * @throws TidingsError `invalid_message` that names the field.
 */
export function readRevocation(body: Static<typeof RevocationBody>, now: number, toleranceMs: number): ReadRevocation {
  if (!Object.keys(body).every((name) => FIELDS.includes(name))) {
    throw new TidingsError('invalid_message', 'Unknown field', { details: { allowed: FIELDS } })
  }
  const { jti, issued_before, expires_at } = body
  const userId = body.user_id === undefined ? undefined : readId('user_id', body.user_id)
  const deviceId = body.device_id === undefined ? undefined : readId('device_id', body.device_id)
  const nowS = Math.floor(now / 1000)
  const until = readTime('expires_at', expires_at ?? nowS + DEFAULT_KEPT_S, nowS + 1, nowS + MAX_KEPT_S) + toleranceMs
  const names = { ...(expires_at !== undefined && { expires_at }) }
  if (jti !== undefined) {
    if (userId !== undefined || deviceId !== undefined || issued_before !== undefined) {
      throw invalid('jti', 'a token is named alone')
    }
    return {
      revocation: { scope: Scopes.token(readId('jti', jti)), issuedBefore: WHENEVER, until },
      names: { jti, ...names },
    }
  }
  if (deviceId !== undefined && userId === undefined) throw invalid('user_id', 'a device is named with its user')
  if (userId === undefined && issued_before === undefined) {
    throw invalid('jti', 'jti, user_id or issued_before is expected')
  }
  // The second that has begun is left out: who logs in again right now gets a token of it.
  const issuedBefore = readTime('issued_before', issued_before ?? nowS, 0, nowS + MAX_AHEAD_S)
  return {
    revocation: { scope: scopeOf(userId, deviceId), issuedBefore, until },
    names: {
      ...(userId !== undefined && { user_id: userId }),
      ...(deviceId !== undefined && { device_id: deviceId }),
      issued_before: issuedBefore / 1000,
      ...names,
    },
  }
}

function scopeOf(userId: string | undefined, deviceId: string | undefined): string {
  if (userId === undefined) return Scopes.all
  return deviceId === undefined ? Scopes.user(userId) : Scopes.device(userId, deviceId)
}

function readId(field: string, value: unknown): string {
  const id = toIdentifier(value)
  if (id === undefined) throw invalid(field, '1 to 256 characters without control characters')
  return id
}

/** Seconds, as milliseconds. Ranges are checked here: in a minified build the schema's are lost. */
function readTime(field: string, seconds: number, min: number, max: number): number {
  if (seconds >= min && seconds <= max) return Math.floor(seconds * 1000)
  throw invalid(field, `seconds since 1970 from ${min} to ${max} are expected`)
}

function invalid(field: string, expected: string): TidingsError {
  return new TidingsError('invalid_message', `Invalid ${field}: ${expected}`, { details: { field } })
}
