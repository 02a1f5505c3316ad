/** What a client can be told by types alone: an app's requests with their results, and its events. */
import type { ErrorBody } from '../protocol/errors.ts'

/** The types of an app that says nothing of them: anything may be sent, and comes back as `unknown`. */
interface Untyped {
  requests: Record<string, { payload: unknown; result: unknown }>
  events: Record<string, unknown>
}

interface AnyTypes {
  requests: object
  events: object
}

/** The types that an app carries in its `'~types'`, a property that exists in the type system alone. */
export type TypesOf<App> = App extends { readonly '~types'?: infer Types }
  ? NonNullable<Types> extends AnyTypes
    ? NonNullable<Types>
    : Untyped
  : Untyped

type RequestsOf<App> = TypesOf<App>['requests']
export type RequestName<App> = keyof RequestsOf<App> & string

type RequestOf<App, Name> = Name extends keyof RequestsOf<App> ? RequestsOf<App>[Name] : never
export type ResultOf<App, Name> = RequestOf<App, Name> extends { result: infer Result } ? Result : unknown
type PayloadOf<App, Name> = RequestOf<App, Name> extends { payload: infer Payload } ? Payload : unknown

/** The payload may be left out where `undefined` is one. */
export type RequestArguments<App, Name, Options> =
  undefined extends PayloadOf<App, Name>
    ? [payload?: PayloadOf<App, Name>, options?: Options]
    : [payload: PayloadOf<App, Name>, options?: Options]

/** What the server itself says to listeners; payloads are as on the wire. */
export interface ServerEvents {
  user_joined_room: PresenceEvent
  user_left_room: PresenceEvent & { reason?: string }
  presence: { room_id: string; participant_count: number; joined?: Person[]; left?: Person[] }
  room_state_changed: { room_id: string; patch: object; version: number; by: Person }
  /**
   * Something may be missing after `from`, in these rooms; without rooms, in the inbox too. Said by the server, and by the
   * client itself after a welcome or a join that told so.
   */
  gap: { rooms?: string[]; from?: string; cursor?: string }
  lagged: { room: string; from: string; to: string }
  rate_limited: { retry_after_ms: number }
  token_expiring: { expires_in_ms: number }
  server_draining: { reason: string; reconnect_after_ms: number }
  error: ErrorBody
  welcome: Welcome
}

export interface Person {
  id: string
  /** Absent where the token names none. */
  username?: string
}

interface PresenceEvent {
  user: Person
  room_id: string
  participant_count: number
  message: string
}

/** The first frame of a connection. */
export interface Welcome {
  connection_id: string
  user_id: string
  device_id: string
  server_time: number
  heartbeat: { interval_ms: number; timeout_ms: number }
  limits: Record<string, number>
  rooms: { room: string; participant_count: number; cursor?: string }[]
  cursor?: string
  resume: {
    session: boolean
    recovered: boolean
    replayed: number
    gaps: { room?: string; inbox?: true; since: string }[]
  }
}

/** Names that an editor offers; any other is allowed, as clients send each other what no handler knows. */
export type EventName<App> = (keyof ServerEvents | (keyof TypesOf<App>['events'] & string)) | (string & {})

export type EventPayload<App, Name> = Name extends keyof ServerEvents
  ? ServerEvents[Name]
  : Name extends keyof TypesOf<App>['events']
    ? TypesOf<App>['events'][Name]
    : unknown

export interface Sender {
  readonly userId: string
  readonly deviceId: string
  readonly username: string | undefined
}

/** What a listener gets beside the payload. */
export interface Message<Payload = unknown> {
  readonly type: string
  readonly payload: Payload
  /** The message's own id; equals the `id` that its publisher's promise resolved with. */
  readonly id: string | undefined
  readonly room: string | undefined
  /** Where a stored message stands. Keep `client.cursor` rather than this one to come back to. */
  readonly cursor: string | undefined
  /** Absent on what the server and its backends say. */
  readonly sender: Sender | undefined
  /** Seconds since 1970 by the server's clock. */
  readonly timestamp: number
  /** It was said before the room was joined. */
  readonly history: boolean
  /** It was sent by this very device: only history and what was missed hold such messages. */
  readonly own: boolean
}

/**
 * Called for each message, in order. A promise it returns is what "processed" waits for; where the server asked for an
 * answer, the first value other than `undefined` that a listener returns is it.
 */
export type Listener<Payload> = {
  // As a method, so that a listener may say what it expects where the payload is unknown.
  bivariant(payload: Payload, message: Message<Payload>): unknown
}['bivariant']

/** Whom a message is for, as on the wire. */
export type Recipient = { room: string } | { user_id: string; device_id?: string } | { device_id: string } | 'all'
