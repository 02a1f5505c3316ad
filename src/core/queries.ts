/** Questions about who is connected and what holds in rooms, as operators ask them. Answers are of this moment. */
import { formatCursor } from '../protocol/cursor.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import { toTimestamp } from './clock.ts'
import type { Hub } from './hub.ts'
import { Message } from './message.ts'
import { type Page, pageOf } from './paging.ts'
import { lastSeenOf } from './records.ts'
import type { Room } from './room.ts'
import type { Session, SessionState } from './session.ts'
import { roomLog, userLog } from './stored-topics.ts'
import type { TransportName } from './wire.ts'

/** What connections are looked for by; they match all of it. Without anything every connection matches. */
export interface ConnectionFilter {
  readonly userId?: string | undefined
  readonly deviceId?: string | undefined
  readonly room?: string | undefined
  /** The address itself, in its normal spelling. */
  readonly ip?: string | undefined
  /** The key under which connections of that address are counted. */
  readonly addressKey?: string | undefined
  readonly transport?: TransportName | undefined
  readonly state?: SessionState | undefined
  /** Milliseconds that a connection has been there for at least. */
  readonly olderThanMs?: number | undefined
}

/** Where a page of connections begins: after this one, whether it is still there or not. */
export interface ConnectionPosition {
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  readonly connectionId: string
}

/** The connections that match, in no particular order. Costs no more than the rarest of what is looked for by. */
export function* findConnections(hub: Hub, filter: ConnectionFilter): Iterable<Session> {
  const now = hub.clock.now()
  const room = filter.room === undefined ? undefined : hub.rooms.get(filter.room)
  if (filter.room !== undefined && room === undefined) return
  for (const session of candidates(hub, filter, room)) if (matches(session, filter, room, now)) yield session
}

/** One page of the connections that match, oldest first. */
export function pageOfConnections(
  hub: Hub,
  filter: ConnectionFilter,
  after: ConnectionPosition | undefined,
  limit: number,
): Page<Session> {
  const found = findConnections(hub, filter)
  return pageOf(after === undefined ? found : following(found, after), byAge, limit)
}

function* following(sessions: Iterable<Session>, after: ConnectionPosition): Iterable<Session> {
  for (const session of sessions) if (byAge(session, after) > 0) yield session
}

function byAge(a: ConnectionPosition, b: ConnectionPosition): number {
  if (a.connectedAt !== b.connectedAt) return a.connectedAt - b.connectedAt
  return a.connectionId < b.connectionId ? -1 : a.connectionId > b.connectionId ? 1 : 0
}

function candidates(hub: Hub, filter: ConnectionFilter, room: Room | undefined): Iterable<Session> {
  const { registry } = hub
  if (filter.userId !== undefined) return registry.byUser.get(filter.userId)
  if (filter.deviceId !== undefined) return registry.byDevice.get(filter.deviceId)
  if (filter.addressKey !== undefined) return registry.byAddress.get(filter.addressKey)
  if (room !== undefined) return membersOf(room)
  return registry.all()
}

function* membersOf(room: Room): Iterable<Session> {
  for (const userId of room.members.keys()) {
    for (const session of room.members.get(userId)) if (!session.closed) yield session
  }
}

function matches(session: Session, filter: ConnectionFilter, room: Room | undefined, now: number): boolean {
  const { userId, deviceId, ip, transport, state, olderThanMs } = filter
  return (
    (userId === undefined || session.userId === userId) &&
    (deviceId === undefined || session.deviceId === deviceId) &&
    (ip === undefined || session.ip === ip) &&
    (transport === undefined || session.wire.transport === transport) &&
    (state === undefined || session.state === state) &&
    (room === undefined || room.has(session)) &&
    (olderThanMs === undefined || now - session.connectedAt >= olderThanMs)
  )
}

/** A user as an operator sees it. Times are seconds since 1970. */
export interface UserDescription {
  online: boolean
  /** Open connections. */
  connections: number
  devices: { device_id: string; connections: number; last_seen: number }[]
  /** The last sign of life of any of the connections; null where there is none. */
  last_seen: number | null
  /** Stored messages to the user that none of its devices has acknowledged. */
  pending: number
}

export async function describeUser(hub: Hub, userId: string): Promise<UserDescription> {
  const devices = new Map<string, UserDescription['devices'][number]>()
  let connections = 0
  let lastSeen: number | null = null
  for (const session of hub.registry.byUser.get(userId)) {
    connections++
    const seen = toTimestamp(lastSeenOf(session, hub.clock))
    lastSeen = Math.max(lastSeen ?? 0, seen)
    const device = devices.get(session.deviceId)
    if (device === undefined) {
      devices.set(session.deviceId, { device_id: session.deviceId, connections: 1, last_seen: seen })
    } else {
      device.connections++
      device.last_seen = Math.max(device.last_seen, seen)
    }
  }
  const pending = await pendingOf(hub, userId)
  return { online: connections > 0, connections, devices: [...devices.values()], last_seen: lastSeen, pending }
}

async function pendingOf(hub: Hub, userId: string): Promise<number> {
  const { log } = hub.backend
  const { newest } = await log.positions(userId, '')
  return log.count(userLog(userId), newest ?? 0)
}

/** One line of the list of rooms. */
export interface RoomSummary {
  room: string
  participant_count: number
  /** Connections that are in it; a participant may have several. */
  connections: number
}

/** One page of the rooms that have a member, by name. */
export async function pageOfRooms(
  hub: Hub,
  after: string | undefined,
  limit: number,
): Promise<{ items: RoomSummary[]; last: string | undefined }> {
  const page = pageOf(roomsAfter(hub, after), (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0), limit)
  const items = await Promise.all(
    page.items.map(async (room) => ({
      room: room.name,
      participant_count: await hub.backend.attendances.count(room.name),
      connections: room.topic.size,
    })),
  )
  return { items, last: page.last?.name }
}

function* roomsAfter(hub: Hub, after: string | undefined): Iterable<Room> {
  for (const room of hub.rooms.all()) if (after === undefined || room.name > after) yield room
}

/** Participants that one answer lists; `participant_count` has the whole number. A list of 10,000 would be 500 KB. */
const MAX_LISTED_PARTICIPANTS = 1000

/** A room as `get_room_state` and the HTTP API tell it. */
export interface RoomDescription {
  room: string
  participants: { id: string; username: string | null }[]
  participant_count: number
  state: unknown
  /** 0 where no state has been set. */
  version: number
  cursor: string
}

/** Whether there is anything to tell of a room: a member, a state, or history. */
export async function isRoomKnown(hub: Hub, name: string): Promise<boolean> {
  const { attendances, states, log } = hub.backend
  if ((await attendances.count(name)) > 0 || (await states.get(name)) !== undefined) return true
  return (await log.count(roomLog(name), 0)) > 0
}

/**
 * A page of what a room keeps, oldest first: frames as its members got them.
 * @param after the cursor behind which the page begins; 0: at the oldest.
 */
export async function pageOfHistory(
  hub: Hub,
  name: string,
  after: number,
  limit: number,
): Promise<{ items: ServerFrame[]; next: string | null }> {
  const rows = await hub.backend.log.read({ topics: [roomLog(name)] }, after, hub.line.delivered, limit)
  const last = rows.at(-1)
  return {
    items: rows.map(({ body, cursor }) => Message.stored(body, cursor).frame),
    next: last === undefined || rows.length < limit ? null : formatCursor(last.cursor),
  }
}

/** @param cursor the position that goes with the answer; absent: this instance's. */
export async function describeRoom(hub: Hub, name: string, cursor = hub.position()): Promise<RoomDescription> {
  const { attendances, states } = hub.backend
  const kept = await states.get(name)
  const participants = await attendances.participants(name, MAX_LISTED_PARTICIPANTS)
  return {
    room: name,
    participants: participants.map(({ id, username }) => ({ id, username: username ?? null })),
    participant_count: await attendances.count(name),
    state: kept?.state ?? {},
    version: kept?.version ?? 0,
    cursor,
  }
}
