/** `tidings/client`: for browsers, Bun, Node and Deno. */

export { TidingsClient } from './client.ts'
export type { State, StateChange } from './connection.ts'
export { ClientError, type ClientErrorName } from './error.ts'
export type { ClientOptions, RequestOptions } from './options.ts'
export type { Published, PublishOptions, Room, RoomState } from './room.ts'
export type { Joined, JoinOptions } from './rooms.ts'
export type { TokenReason, TokenSource } from './token.ts'
export type { Listener, Message, Recipient, Sender, ServerEvents, Welcome } from './types.ts'

// ── For those who bring a codec or parts of a runtime ──

export type { Codec } from './codec.ts'
export type { Clock, Environment } from './environment.ts'
export type { TransportName } from './ladder.ts'
