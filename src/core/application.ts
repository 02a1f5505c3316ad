/** What an application adds to the server: handlers, middleware, its own way to authenticate, hooks. */
import type { Context } from './context.ts'
import type { Identity } from './identity.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Closing } from './observer.ts'
import type { RoomGuard } from './room.ts'
import type { Session } from './session.ts'

export interface Handler {
  readonly type: string
  /** The first thing that is wrong with a payload, for a person; `undefined` where it fits. */
  readonly check?: ((payload: unknown) => PayloadProblem | undefined) | undefined
  readonly room?: RoomGuard | undefined
  /** Runs for one frame; what it returns becomes the acknowledgement's result. */
  readonly run: (context: Context) => unknown
}

export interface PayloadProblem {
  /** Where in the payload, for example `payload.track_id`. */
  readonly field: string
  readonly message: string
}

/** Runs around every frame that clients send; `next` goes on to the next middleware and at last to the handler. */
export type Middleware = (context: Context, next: () => Promise<void>) => MaybePromise<void>

/** Knows its own credentials; `next` asks the next one, and at last the configured tokens. `null`: none of mine and nobody's. */
export type Authenticate = (request: Request, next: () => Promise<Identity | null>) => MaybePromise<Identity | null>

/** A session as an application sees it, before `welcome`. */
export interface Connecting {
  readonly session: Session
  /** Joins a room as if the client had named it in `?rooms=`. */
  join(room: string): void
  /** Shown in the connection record. */
  metadata(values: Record<string, unknown>): void
}

export interface Hooks {
  /** Before the server listens. */
  readonly onStart: (() => MaybePromise<void>)[]
  /** After the last connection is gone. */
  readonly onStop: (() => MaybePromise<void>)[]
  /** Before `welcome`; a throw refuses the connection with that error. */
  readonly onConnect: ((connecting: Connecting) => MaybePromise<void>)[]
  readonly onDisconnect: ((session: Session, closing: Closing) => MaybePromise<void>)[]
  /** Something of the application threw; it was answered already. */
  readonly onError: ((error: unknown, at: { readonly stage: ErrorStage }) => void)[]
}

export type ErrorStage = 'handler' | 'middleware' | 'authenticate' | 'connect' | 'disconnect' | 'start' | 'stop'

export interface Application {
  readonly handlers: ReadonlyMap<string, Handler>
  readonly middleware: readonly Middleware[]
  readonly authenticate: readonly Authenticate[]
  readonly hooks: Hooks
}

/** No handler, no hook: the server alone. */
export function emptyApplication(): Application {
  return {
    handlers: new Map(),
    middleware: [],
    authenticate: [],
    hooks: { onStart: [], onStop: [], onConnect: [], onDisconnect: [], onError: [] },
  }
}
