/** A room's shared state: read whole, changed by merge patches, told to the other members. */
import { toTimestamp } from '../core/clock.ts'
import type { BuiltIn } from '../core/dispatch.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Hub } from '../core/hub.ts'
import { describeRoom } from '../core/queries.ts'
import type { Room } from '../core/room.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import { namedRoom } from './rooms.ts'

/** `get_room_state`: who is there and what holds there. */
export function getRoomState(hub: Hub): BuiltIn {
  return async (exchange) => {
    const room = memberRoom(hub, exchange)
    hub.rooms.authorise(exchange.session, room.name, 'state')
    const description = describeRoom(hub, room.name, hub.position(exchange.session))
    await hub.presence.follow(room, description, (read, following) => exchange.ack(following.correct(read)))
  }
}

/** `set_room_state`: applies a JSON Merge Patch, if nobody was faster where `if_version` is given. */
export function setRoomState(hub: Hub): BuiltIn {
  return async (exchange) => {
    const { payload } = exchange.frame
    if (!isRecord(payload) || !isRecord(payload['patch'])) throw invalid('patch', 'a patch is an object')
    const ifVersion = payload['if_version'] ?? undefined
    if (ifVersion !== undefined && !isVersion(ifVersion)) throw invalid('if_version', 'a version is a whole number')
    const room = memberRoom(hub, exchange)
    hub.rooms.authorise(exchange.session, room.name, 'state')
    const { version } = await hub.backend.states.patch(room.name, payload['patch'], ifVersion)
    exchange.ack({ version })
    const { userId, identity } = exchange.session
    const changed = {
      room_id: room.name,
      patch: payload['patch'],
      version,
      by: { id: userId, ...(identity.username !== undefined && { username: identity.username }) },
    }
    const timestamp = toTimestamp(hub.clock.now())
    const frame = { type: 'room_state_changed', payload: changed, room: room.name, timestamp }
    hub.publisher.tellRoom(room, frame, exchange.session)
  }
}

function memberRoom(hub: Hub, exchange: Exchange): Room {
  const name = hub.rooms.meant(exchange.session, namedRoom(exchange.frame.payload))
  const room = hub.rooms.get(name)
  if (!room?.has(exchange.session)) throw new TidingsError('forbidden', 'Only members of the room may do this')
  return room
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function invalid(field: string, expected: string): TidingsError {
  return new TidingsError('invalid_message', `Invalid ${field}: ${expected}`, { details: { field } })
}
