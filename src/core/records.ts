/** A connection as an operator sees it. */
import type { Format } from '../protocol/encoding.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Session, SessionInit, SessionState } from './session.ts'
import type { TransportName } from './wire.ts'

/** The connection record of the HTTP API and of `who_am_i`. Times are seconds since 1970. */
export interface ConnectionRecord {
  connection_id: string
  user_id: string
  device_id: string
  username: string | null
  roles: readonly string[]
  state: SessionState
  transport: TransportName
  format: Format
  ip: string
  user_agent: string | null
  connected_at: number
  last_seen: number
  rooms: readonly string[]
  metadata: Readonly<Record<string, unknown>>
  counters: { frames_in: number; bytes_in: number; frames_out: number; pending_bytes: number }
}

export function recordOf(session: Session, clock: Clock): ConnectionRecord {
  return {
    connection_id: session.connectionId,
    user_id: session.userId,
    device_id: session.deviceId,
    username: session.identity.username ?? null,
    roles: session.identity.roles,
    state: session.state,
    // Whoever is not connected is in no registry, and nobody makes a record of it.
    transport: session.wire.transport as TransportName,
    format: session.encoding.format,
    ip: session.ip,
    user_agent: session.userAgent ?? null,
    connected_at: toTimestamp(session.connectedAt),
    last_seen: toTimestamp(lastSeenOf(session, clock)),
    rooms: session.rooms,
    metadata: session.metadata ?? {},
    counters: {
      frames_in: session.framesIn,
      bytes_in: session.bytesIn,
      frames_out: session.framesSent,
      pending_bytes: session.wire.bufferedBytes(),
    },
  }
}

/** The record of a connection that was let in and is only opening. */
export function openingRecord(init: SessionInit, transport: TransportName): ConnectionRecord {
  const { connectionId, connectedAt, deviceId, encoding, identity, ip, userAgent } = init
  const at = toTimestamp(connectedAt)
  return {
    connection_id: connectionId,
    user_id: identity.userId,
    device_id: deviceId,
    username: identity.username ?? null,
    roles: identity.roles,
    state: 'connecting',
    transport,
    format: encoding.format,
    ip,
    user_agent: userAgent ?? null,
    connected_at: at,
    last_seen: at,
    rooms: [],
    metadata: identity.meta ?? {},
    counters: { frames_in: 0, bytes_in: 0, frames_out: 0, pending_bytes: 0 },
  }
}

/** Milliseconds since 1970 of the last sign of life. */
export function lastSeenOf(session: Session, clock: Clock): number {
  return clock.now() - (clock.monotonic() - session.lastInbound)
}
