/** Questions about who is connected and what holds in rooms, as operators ask them. Answers are of this moment. */
import { formatCursor } from '../protocol/cursor.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import type { Hub } from './hub.ts'
import { Message } from './message.ts'
import type { Page } from './paging.ts'
import type { Listed, ListPlace } from './ports/directory.ts'
import { type ConnectionRecord, recordOf } from './records.ts'
import type { SessionState } from './session.ts'
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

/** The connections that match, oldest first. Costs no more than the rarest of what is looked for by. */
export async function* findConnections(
  hub: Hub,
  filter: ConnectionFilter,
  after?: ListPlace,
): AsyncIterable<readonly Listed[]> {
  const now = hub.clock.now()
  const { userId, deviceId, addressKey, room } = filter
  const lookup = { userId, deviceId, addressKey, room }
  for await (const page of hub.backend.directory.connections(lookup, after)) {
    const matching = page.filter((listed) => matches(listed, filter, now))
    if (matching.length > 0) yield matching
  }
}

/** One page of the connections that match. */
export async function pageOfConnections(
  hub: Hub,
  filter: ConnectionFilter,
  after: ListPlace | undefined,
  limit: number,
): Promise<Page<Listed>> {
  const found: Listed[] = []
  for await (const page of findConnections(hub, filter, after)) {
    found.push(...page)
    if (found.length > limit) break
  }
  const items = found.slice(0, limit)
  return { items, last: found.length > limit ? items.at(-1) : undefined }
}

function matches(listed: Listed, filter: ConnectionFilter, now: number): boolean {
  const { userId, deviceId, room, ip, transport, state, olderThanMs } = filter
  if (userId !== undefined && listed.userId !== userId) return false
  if (deviceId !== undefined && listed.deviceId !== deviceId) return false
  if (room !== undefined && !listed.rooms.includes(room)) return false
  if (ip === undefined && transport === undefined && state === undefined && olderThanMs === undefined) return true
  const { record } = listed
  return (
    record !== undefined &&
    (ip === undefined || record.ip === ip) &&
    (transport === undefined || record.transport === transport) &&
    (state === undefined || record.state === state) &&
    (olderThanMs === undefined || now - record.connected_at * 1000 >= olderThanMs)
  )
}

/** Records of listed connections: of those of this process as they are now. */
export function recordsOf(hub: Hub, listed: readonly Listed[]): ConnectionRecord[] {
  return listed.flatMap(({ connectionId, record }) => {
    const session = hub.registry.get(connectionId)
    const found = session === undefined ? record : recordOf(session, hub.clock)
    return found === undefined ? [] : [found]
  })
}

/** All connections of a user. */
export async function recordsOfUser(hub: Hub, userId: string): Promise<ConnectionRecord[]> {
  const records: ConnectionRecord[] = []
  for await (const page of findConnections(hub, { userId })) records.push(...recordsOf(hub, page))
  return records
}

/** How many there are over the whole deployment; of this process where the others' cannot be read. */
export async function totals(hub: Hub): Promise<{ connections: number; users: number; rooms: number }> {
  const { registry, rooms } = hub
  try {
    return await hub.backend.directory.totals()
  } catch {
    return { connections: registry.size, users: registry.byUser.size, rooms: rooms.size }
  }
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
  let lastSeen: number | null = null
  const records = await recordsOfUser(hub, userId)
  for (const { device_id, last_seen } of records) {
    lastSeen = Math.max(lastSeen ?? 0, last_seen)
    const device = devices.get(device_id)
    if (device === undefined) {
      devices.set(device_id, { device_id, connections: 1, last_seen })
    } else {
      device.connections++
      device.last_seen = Math.max(device.last_seen, last_seen)
    }
  }
  const pending = await pendingOf(hub, userId)
  const connections = records.length
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
  const { attendances, directory } = hub.backend
  const names = await directory.rooms(after, limit + 1)
  const shown = names.slice(0, limit)
  const items = await Promise.all(
    shown.map(async (room) => ({
      room,
      participant_count: await attendances.count(room),
      connections: await directory.connectionsIn(room),
    })),
  )
  return { items, last: names.length > limit ? shown.at(-1) : undefined }
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

/** Whether there is anything to tell of a room: a member, of whom others need not have been told yet, a state, or history. */
export async function isRoomKnown(hub: Hub, name: string): Promise<boolean> {
  const { attendances, directory, states, log } = hub.backend
  if ((await attendances.count(name)) > 0 || (await directory.connectionsIn(name)) > 0) return true
  if ((await states.get(name)) !== undefined) return true
  return (await log.count(roomLog(name), 0)) > 0
}

/**
 * A page of what a room keeps, oldest first: frames as its members got them. All that was acknowledged is in it, though it
 * may not have been told here yet: an instance without a member of the room hears nothing of it.
 * @param after the cursor behind which the page begins; 0: at the oldest.
 */
export async function pageOfHistory(
  hub: Hub,
  name: string,
  after: number,
  limit: number,
): Promise<{ items: ServerFrame[]; next: string | null }> {
  const rows = await hub.backend.log.read({ topics: [roomLog(name)] }, after, Number.MAX_SAFE_INTEGER, limit)
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
  const isWhole = participants.length < MAX_LISTED_PARTICIPANTS
  return {
    room: name,
    participants: participants.map(({ id, username }) => ({ id, username: username ?? null })),
    participant_count: isWhole ? participants.length : await attendances.count(name),
    state: kept?.state ?? {},
    version: kept?.version ?? 0,
    cursor,
  }
}
