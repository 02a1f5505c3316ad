/**
 * The builder: handlers, middleware, authentication and hooks in one object. The binary serves it (`--app`), and it
 * mounts in an Elysia application (`new Elysia().use(tidings())`), for which it is a function.
 */
import type { AnyElysia } from 'elysia'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { mountIn } from './app.ts'
import type { ConfigInput } from './config.ts'
import type {
  Application,
  Authenticate,
  Connecting,
  ErrorStage,
  Handler,
  Hooks,
  Middleware,
  PayloadProblem,
} from './core/application.ts'
import { AckTimeout, type Answers } from './core/asks.ts'
import type { Context, ContextRoom } from './core/context.ts'
import type { Hub } from './core/hub.ts'
import type { MaybePromise } from './core/maybe-promise.ts'
import type { Closing } from './core/observer.ts'
import { type Published, recipientOf, type To } from './core/publication.ts'
import type { RoomGuard } from './core/room.ts'
import type { Session } from './core/session.ts'
import { isReservedType } from './protocol/frames.ts'
import { isTypeName } from './protocol/names.ts'

/** What a handler is given: the payload as its schema says; `room` is there for certain where a guard asked for it. */
export type HandlerContext<Payload, Guarded extends boolean> = Omit<Context, 'payload' | 'room'> & {
  readonly payload: Payload
  readonly room: Guarded extends true ? ContextRoom : ContextRoom | undefined
}

export interface HandlerOptions<Schema extends TSchema> {
  /** What the payload must be; anything else is answered with `invalid_message` and never reaches the handler. */
  readonly payload?: Schema
  /** Who may call: members of the room that `payload.room` names or the only one joined, or those with a role in it. */
  readonly room?: RoomGuard
}

type Requests = Record<string, { payload: unknown; result: unknown }>

/** The handlers so far, for the types of a client. */
export interface Tidings<R extends Requests = Record<never, never>> {
  /** Mounts the server in an Elysia application. */
  (app: AnyElysia): AnyElysia
  /** Types of requests, for `TidingsClient<typeof app>`. Exists in the type system alone. */
  readonly '~types'?: { requests: R; events: Record<string, unknown> }
  readonly application: Application
  /** Adds middleware. It runs around every frame that clients send, in the order of adding. */
  use(middleware: Middleware): Tidings<R>
  /** Handles frames of a type. What the handler returns becomes the `result` of the acknowledgement. */
  on<Type extends string, Result>(
    type: Type,
    handler: (context: HandlerContext<unknown, false>) => Result,
  ): Tidings<R & Record<Type, { payload: unknown; result: Awaited<Result> }>>
  on<Type extends string, Schema extends TSchema, const Options extends HandlerOptions<Schema>, Result>(
    type: Type,
    options: Options & { payload?: Schema },
    handler: (
      context: HandlerContext<PayloadOf<Options>, Options extends { room: RoomGuard } ? true : false>,
    ) => Result,
  ): Tidings<R & Record<Type, { payload: PayloadOf<Options>; result: Awaited<Result> }>>
  /** Knows credentials of its own: sessions, opaque tokens. `next` asks the next one and at last the configured tokens. */
  authenticate(authenticate: Authenticate): Tidings<R>
  onStart(hook: () => MaybePromise<void>): Tidings<R>
  onStop(hook: () => MaybePromise<void>): Tidings<R>
  /** Runs before `welcome`; may set metadata, join rooms, or refuse by throwing a `TidingsError`. */
  onConnect(hook: (connecting: Connecting) => MaybePromise<void>): Tidings<R>
  onDisconnect(hook: (session: Session, closing: Closing) => MaybePromise<void>): Tidings<R>
  /** Hears of what the application itself threw. */
  onError(hook: (error: unknown, at: { readonly stage: ErrorStage }) => void): Tidings<R>
  /** Publishes from outside a handler. Rejects as long as the server has not started. */
  publish(to: To, type: string, payload: unknown): Promise<Published>
  /** Publishes an event that wants answers; rejects with `AckTimeout` where none came in time. */
  emitWithAck(to: To, type: string, payload: unknown, options: { timeoutMs: number }): Promise<Answers>
  /** Called by whoever runs the server. */
  bind(hub: Hub): void
}

type PayloadOf<Options> = Options extends { payload: infer Schema extends TSchema } ? Static<Schema> : unknown

export interface TidingsOptions {
  /** Settings of a server that is mounted in an application, over the defaults. The binary has its own. */
  readonly config?: ConfigInput
}

/** Makes a server to add handlers to. */
export function tidings(options: TidingsOptions = {}): Tidings {
  const builder = new Builder(options)
  const mount = (app: AnyElysia) => builder.mount(app)
  return Object.assign(
    mount,
    builder.methods(() => mount as unknown as Tidings),
  ) as unknown as Tidings
}

class Builder {
  private readonly handlers = new Map<string, Handler>()
  private readonly middleware: Middleware[] = []
  private readonly authenticators: Authenticate[] = []
  private readonly hooks: Hooks = { onStart: [], onStop: [], onConnect: [], onDisconnect: [], onError: [] }
  private readonly options: TidingsOptions
  private hub: Hub | undefined

  constructor(options: TidingsOptions) {
    this.options = options
  }

  /** Mounts a server of its own in somebody's Elysia application. */
  mount(app: AnyElysia): AnyElysia {
    return mountIn(app, this.application(), this.options.config ?? {}, (hub) => {
      this.hub = hub
    })
  }

  methods(self: () => Tidings) {
    const added = <Args extends unknown[]>(add: (...args: Args) => void) => {
      return (...args: Args): Tidings => {
        add(...args)
        return self()
      }
    }
    const { hooks } = this
    return {
      application: this.application(),
      use: added((middleware: Middleware) => this.middleware.push(middleware)),
      on: added((type: string, ...rest: unknown[]) => this.on(type, rest)),
      authenticate: added((authenticate: Authenticate) => this.authenticators.push(authenticate)),
      onStart: added((hook: Hooks['onStart'][number]) => hooks.onStart.push(hook)),
      onStop: added((hook: Hooks['onStop'][number]) => hooks.onStop.push(hook)),
      onConnect: added((hook: Hooks['onConnect'][number]) => hooks.onConnect.push(hook)),
      onDisconnect: added((hook: Hooks['onDisconnect'][number]) => hooks.onDisconnect.push(hook)),
      onError: added((hook: Hooks['onError'][number]) => hooks.onError.push(hook)),
      publish: async (to: To, type: string, payload: unknown) =>
        this.running().publish({ to: recipientOf(to), type, payload }),
      emitWithAck: async (to: To, type: string, payload: unknown, { timeoutMs }: { timeoutMs: number }) => {
        const answers = await this.running().speaker.ask(recipientOf(to), type, payload, timeoutMs)
        if (answers.answers.length === 0) throw new AckTimeout(timeoutMs)
        return answers
      },
      bind: (hub: Hub) => {
        this.hub = hub
      },
    }
  }

  private application(): Application {
    const { handlers, middleware, authenticators, hooks } = this
    return { handlers, middleware, authenticate: authenticators, hooks }
  }

  private on(type: string, rest: unknown[]): void {
    const [options, run] = (rest.length === 1 ? [{}, rest[0]] : rest) as [HandlerOptions<TSchema>, Handler['run']]
    if (!isTypeName(type))
      throw new Error(`${JSON.stringify(type)} is no type: 1 to 64 of A-Z a-z 0-9 _ . : - are expected`)
    // It would never be called: the server answers these itself, or says them.
    if (isReservedType(type)) throw new Error(`${type} is a type of the protocol's own: choose another name`)
    if (this.handlers.has(type)) throw new Error(`There is a handler for ${type} already`)
    if (typeof run !== 'function') throw new Error(`The handler for ${type} is not a function`)
    const { payload, room } = options
    this.handlers.set(type, { type, room, check: payload && payloadCheck(payload), run })
  }

  private running(): Hub {
    if (this.hub === undefined) throw new Error('The server has not started yet')
    return this.hub
  }
}

/** Longest path of a field that is told: keys may be the client's own words, and no error gives those back at length. */
const MAX_PATH_LENGTH = 64

function payloadCheck(schema: TSchema): (payload: unknown) => PayloadProblem | undefined {
  const validator = Compile(schema)
  return (payload) => {
    if (validator.Check(payload)) return undefined
    const problems = validator.Errors(payload)
    // A property too many is "schema is false" first, and told in words after that.
    const problem = problems.find(({ keyword }) => keyword !== 'boolean') ?? problems[0]
    const path = (problem?.instancePath ?? '').slice(0, MAX_PATH_LENGTH).replaceAll('/', '.')
    return { field: `payload${path}`, message: problem?.message ?? 'does not match the schema' }
  }
}
