/**
 * The frames of the protocol: what a client may send, as the server understands it, and what the server says,
 * in the names that stand on the wire.
 */
import { TidingsError } from './errors.ts'
import { isRoomName, isTypeName, MAX_FRAME_ID_LENGTH, toIdentifier } from './names.ts'

/** Whom a message is for. */
export type Target =
  | { readonly kind: 'room'; readonly room: string }
  | { readonly kind: 'user'; readonly userId: string }
  /** `userId` is absent where the sender named a device of its own user. */
  | { readonly kind: 'device'; readonly userId?: string; readonly deviceId: string }
  | { readonly kind: 'all' }

/** A frame from a client, checked and in one spelling. */
export interface ClientFrame {
  readonly type: string
  readonly id: string | undefined
  readonly to: Target | undefined
  readonly payload: unknown
  readonly ephemeral: boolean
}

/** Who sent a message, as others see it. Stamped by the server. */
export interface Sender {
  user_id: string
  device_id: string
  username?: string
}

/** A frame from the server. Every key but `type` and `timestamp` is optional; `undefined` keys are not sent. */
export interface ServerFrame {
  type: string
  payload?: unknown
  /** The message's own id. */
  id?: string | undefined
  room?: string | undefined
  /** On stored messages: decimal microseconds since 1970. */
  cursor?: string | undefined
  sender?: Sender | undefined
  /** Seconds since 1970, with milliseconds. */
  timestamp: number
  /** On answers: the id of the frame that is answered. */
  correlation_id?: string | undefined
  /** On events that want an answer. */
  ack_id?: string | undefined
  /** On messages replayed by a join: they do not move the position. */
  history?: true | undefined
}

/** Types that the server answers itself, so that a routed frame may not carry them. */
export const BUILT_IN_TYPES = [
  'ping',
  'join_room',
  'leave_room',
  'get_room_state',
  'set_room_state',
  'ack',
  'resume',
  'refresh_token',
  'who_am_i',
] as const

/** Types that only the server says: nobody can forge one to others. */
export const SERVER_TYPES = [
  'welcome',
  'pong',
  'error',
  'resumed',
  'user_joined_room',
  'user_left_room',
  'room_state_changed',
  'presence',
  'rate_limited',
  'token_expiring',
  'position',
  'gap',
  'lagged',
  'server_draining',
] as const

const RESERVED: ReadonlySet<string> = new Set([...BUILT_IN_TYPES, ...SERVER_TYPES])

/** Whether a type is the protocol's own, in either direction. */
export function isReservedType(type: string): boolean {
  return RESERVED.has(type)
}

/** The `id` of a value that may be a frame, for the answer to a frame that is otherwise refused. */
export function frameIdOf(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined
  const id = value['id']
  return typeof id === 'string' && id.length > 0 && id.length <= MAX_FRAME_ID_LENGTH ? id : undefined
}

/**
 * Reads a decoded value as a frame. Unknown top-level fields are ignored: sender, time and cursor are the server's.
 * @throws TidingsError `invalid_message` whose details name the field.
 */
export function parseClientFrame(value: unknown): ClientFrame {
  if (!isRecord(value)) throw invalid('frame', 'a frame is an object')
  const type = value['type']
  if (!isTypeName(type)) throw invalid('type', 'type is 1 to 64 of A-Z a-z 0-9 _ . : -')
  const id = value['id']
  if (id !== undefined && id !== null && frameIdOf(value) === undefined) {
    throw invalid('id', `id is a string of 1 to ${MAX_FRAME_ID_LENGTH} characters`)
  }
  const ephemeral = value['ephemeral']
  if (ephemeral !== undefined && typeof ephemeral !== 'boolean') throw invalid('ephemeral', 'ephemeral is a boolean')
  return {
    type,
    id: frameIdOf(value),
    to: parseRecipient(value),
    payload: Object.hasOwn(value, 'payload') ? value['payload'] : value['data'],
    ephemeral: ephemeral === true,
  }
}

/**
 * Reads the value of `to`.
 * @throws TidingsError `invalid_message` whose details name the field.
 */
export function parseTarget(to: unknown): Target {
  if (to === 'all') return { kind: 'all' }
  if (!isRecord(to)) throw invalid('to', 'to is "all" or names a room, a user_id or a device_id')
  if (Object.hasOwn(to, 'room')) {
    const room = to['room']
    if (!isRoomName(room)) throw invalid('to.room', 'a room name is 1 to 128 of A-Z a-z 0-9 _ . : @ -')
    // Whoever names one person too does not mean everybody in the room.
    if (!isAbsent(to['user_id']) || !isAbsent(to['device_id']))
      throw invalid('to', 'to names a room or a user, not both')
    return { kind: 'room', room }
  }
  return addressee(to['user_id'], to['device_id'], 'to.user_id', 'to.device_id')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

function parseRecipient(frame: Record<string, unknown>): Target | undefined {
  const to = frame['to']
  if (to !== undefined && to !== null) return parseTarget(to)
  const user = frame['recipient_user_id']
  const device = frame['recipient_device_id']
  if (isAbsent(user) && isAbsent(device)) return undefined
  return addressee(user, device, 'recipient_user_id', 'recipient_device_id')
}

function addressee(user: unknown, device: unknown, userField: string, deviceField: string): Target {
  const userId = isAbsent(user) ? undefined : toIdentifier(user)
  if (!isAbsent(user) && userId === undefined) throw invalid(userField, 'a user id is 1 to 256 characters')
  if (isAbsent(device)) {
    if (userId === undefined) throw invalid('to', 'to is "all" or names a room, a user_id or a device_id')
    return { kind: 'user', userId }
  }
  const deviceId = toIdentifier(device)
  if (deviceId === undefined) throw invalid(deviceField, 'a device id is 1 to 256 characters')
  return userId === undefined ? { kind: 'device', deviceId } : { kind: 'device', userId, deviceId }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function invalid(field: string, expected: string): TidingsError {
  return new TidingsError('invalid_message', `Invalid ${field}: ${expected}`, { details: { field } })
}
