/** What an application's own `authenticate` returns, in the form that everything else relies on. */
import type { Identity } from '../core/identity.ts'
import { toIdentifier } from '../protocol/names.ts'

/**
 * Ids may be the numbers of a database: those who send to a user name it by text. Roles may be left out.
 * @throws TypeError where an id is none. That is the application's error: its clients hear that the server is unavailable.
 */
export function ownIdentity(given: Identity): Identity {
  const { userId, deviceId, roles } = given
  return {
    ...given,
    userId: toId('userId', userId),
    ...(deviceId !== undefined && { deviceId: toId('deviceId', deviceId) }),
    roles: roles ?? [],
  }
}

function toId(name: string, given: unknown): string {
  const id = toIdentifier(given)
  if (id !== undefined) return id
  throw new TypeError(`authenticate returned no ${name}: 1 to 256 characters without control characters are expected`)
}
