/** Joining and leaving rooms. */
import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { whenReady } from '../core/maybe-promise.ts'
import { isRecord } from '../protocol/frames.ts'

/** `join_room`: the acknowledgement first, then what is live. Joining again acknowledges and changes nothing. */
export function joinRoom(hub: Hub): BuiltIn {
  return (exchange) => {
    const { session } = exchange
    return whenReady(hub.rooms.enter(session, namedRoom(exchange.frame.payload)), (entry) => {
      exchange.ack({
        room: entry.room.name,
        participant_count: entry.attendance.participants,
        cursor: hub.position(),
        recoverable: entry.room.rule.history.maxMessages > 0,
      })
      hub.rooms.subscribe(session, entry)
    })
  }
}

/** `leave_room`: the named room, or all. Leaving a room that was not joined is no error: the client is where it wants to be. */
export function leaveRoom(hub: Hub): BuiltIn {
  return async (exchange) => {
    const { session } = exchange
    const named = namedRoom(exchange.frame.payload)
    const leaving = named === undefined ? session.rooms : [hub.rooms.meant(session, named)]
    for (const room of leaving) await hub.rooms.leave(session, room)
    exchange.ack({})
  }
}

/** The room that a payload names, as `room` or `room_id`. */
export function namedRoom(payload: unknown): unknown {
  return isRecord(payload) ? (payload['room'] ?? payload['room_id'] ?? undefined) : undefined
}
