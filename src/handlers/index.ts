/** Every frame type that the server answers itself. */
import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import type { BUILT_IN_TYPES } from '../protocol/frames.ts'
import { ack } from './ack.ts'
import { ping } from './ping.ts'
import { refreshToken } from './refresh-token.ts'
import { resume } from './resume.ts'
import { getRoomState, setRoomState } from './room-state.ts'
import { joinRoom, leaveRoom } from './rooms.ts'
import { whoAmI } from './who-am-i.ts'

export function builtIns(hub: Hub): ReadonlyMap<string, BuiltIn> {
  const handlers: Record<(typeof BUILT_IN_TYPES)[number], BuiltIn> = {
    ping: ping(hub),
    join_room: joinRoom(hub),
    leave_room: leaveRoom(hub),
    get_room_state: getRoomState(hub),
    set_room_state: setRoomState(hub),
    ack: ack(hub),
    resume: resume(hub),
    refresh_token: refreshToken(hub),
    who_am_i: whoAmI(hub),
  }
  return new Map(Object.entries(handlers))
}
