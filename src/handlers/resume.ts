import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { parseCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'

/** `resume`: nothing is kept, so nothing after the cursor can be had again, and the client is told so. */
export function resume(hub: Hub): BuiltIn {
  return (exchange) => {
    const cursor = isRecord(exchange.frame.payload) ? exchange.frame.payload['cursor'] : undefined
    if (typeof cursor !== 'string' || parseCursor(cursor) === undefined) {
      throw new TidingsError('invalid_message', 'Invalid cursor', { details: { field: 'cursor' } })
    }
    const gaps = [{ inbox: true, since: cursor }, ...exchange.session.rooms.map((room) => ({ room, since: cursor }))]
    exchange.answer('resumed', { recovered: false, replayed: 0, cursor: hub.position(), gaps })
  }
}
