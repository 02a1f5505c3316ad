import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import type { Session } from '../core/session.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'

/**
 * `refresh_token`: goes on under a new token of the same user. Rooms that the new token does not allow are left. A token
 * that is not taken changes nothing: the connection ends when the old one does.
 */
export function refreshToken(hub: Hub): BuiltIn {
  return async (exchange) => {
    const { session, frame } = exchange
    const token = isRecord(frame.payload) ? frame.payload['token'] : undefined
    if (typeof token !== 'string') {
      throw new TidingsError('invalid_message', 'Invalid token: a string is expected', { details: { field: 'token' } })
    }
    const identity = await hub.verify(token)
    if (identity.userId !== session.userId) throw new TidingsError('forbidden', 'The token is of another user')
    if (identity.deviceId !== undefined && identity.deviceId !== session.deviceId) {
      throw new TidingsError('forbidden', 'The token is of another device')
    }
    hub.revoked.check(identity, session.deviceId)
    if (session.closed) return
    session.identity = identity
    hub.heartbeat.watchToken(session)
    await leaveForbidden(hub, session)
    await hub.listing.write(session)
    exchange.ack({ expires_at: identity.expiresAt === undefined ? null : identity.expiresAt / 1000 })
  }
}

async function leaveForbidden(hub: Hub, session: Session): Promise<void> {
  for (const room of session.rooms) {
    if (hub.rules.allows(session.identity, room, 'join', true)) continue
    await hub.rooms.leave(session, room)
    const error = new TidingsError('forbidden', 'The new token does not allow this room', { details: { room } })
    hub.fail(session, error, undefined)
  }
}
