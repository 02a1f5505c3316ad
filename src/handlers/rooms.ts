/** Joining and leaving rooms. */
import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { parseCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import { type HistoryWish, RoomHistory } from './room-history.ts'

/**
 * `join_room`: the history asked for, then the acknowledgement, then what is live: no gap and no double at the splice.
 * Joining again brings the history too, and changes nothing.
 */
export function joinRoom(hub: Hub): BuiltIn {
  return async (exchange) => {
    const { session, frame } = exchange
    const wish = historyWish(frame.payload)
    const entry = await hub.rooms.enter(session, namedRoom(frame.payload))
    const history = new RoomHistory(hub, exchange, entry.room, entry.already)
    try {
      if (wish !== undefined) await history.read(wish)
    } catch (error) {
      hub.rooms.abandon(session, entry)
      throw error
    }
    exchange.ack({
      room: entry.room.name,
      participant_count: hub.rooms.participants(session, entry),
      cursor: hub.position(session),
      recoverable: entry.room.rule.history.maxMessages > 0,
      ...(wish !== undefined && 'since' in wish && { recovered: history.recovered }),
      ...(wish !== undefined && { replayed: history.replayed }),
    })
    hub.rooms.subscribe(session, entry, hub.line.delivered)
  }
}

function historyWish(payload: unknown): HistoryWish | undefined {
  if (!isRecord(payload)) return undefined
  const { since, history } = payload
  if (since !== undefined && since !== null) {
    const cursor = typeof since === 'string' ? parseCursor(since) : undefined
    if (cursor === undefined) throw invalid('since', 'a cursor is expected')
    return { since: cursor }
  }
  if (history === undefined || history === null) return undefined
  if (!Number.isSafeInteger(history) || (history as number) < 0) throw invalid('history', 'a whole number is expected')
  return { last: history as number }
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

function invalid(field: string, expected: string): TidingsError {
  return new TidingsError('invalid_message', `Invalid ${field}: ${expected}`, { details: { field } })
}
