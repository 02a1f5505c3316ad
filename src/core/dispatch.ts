/** From a checked frame to what answers it: middleware around a built-in, a route, or an application's handler. */
import { TidingsError } from '../protocol/errors.ts'
import type { Application, ErrorStage, Handler, Middleware } from './application.ts'
import type { Clock } from './clock.ts'
import { Context, type ContextDeps } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Router } from './router.ts'
import type { Session } from './session.ts'

/** A frame type of the protocol itself. Answers by itself; may throw. */
export type BuiltIn = (exchange: Exchange) => MaybePromise<void>

export interface DispatcherDeps {
  readonly clock: Clock
  readonly application: Application
  readonly builtIns: ReadonlyMap<string, BuiltIn>
  readonly router: Router
  readonly context: ContextDeps
  /** Milliseconds that a handler may take; 0: as long as it likes. */
  readonly handlerTimeoutMs: number
  /** Tells of a handler that held the event loop. */
  readonly blocked: (session: Session, type: string, ms: number) => void
  /** Tells the client of a failure after its frame was let go, as a route's acknowledgement may. */
  readonly fail: (session: Session, error: unknown, frameId: string | undefined) => void
  readonly report: (error: unknown, stage: ErrorStage) => void
}

/** Milliseconds of the event loop that one handler may hold before it is named in the log: everybody waits for it. */
const BLOCKED_MS = 100

export class Dispatcher {
  private readonly deps: DispatcherDeps
  /** What was thrown by a handler goes through the middleware around it and is no error of theirs. */
  private readonly known = new WeakSet<object>()

  constructor(deps: DispatcherDeps) {
    this.deps = deps
  }

  /** Handles a frame. The session's next frame waits for the promise, where there is one. */
  dispatch(exchange: Exchange): MaybePromise<void> {
    const { session, frame } = exchange
    const { storing } = session
    if (storing === undefined) return this.start(exchange)
    // An answer must not overtake the acknowledgement of what the session stored before; the next stored frame may follow.
    if (!this.deps.router.stores(frame, session)) return storing.then(() => this.start(exchange))
    try {
      return this.start(exchange)
    } catch (error) {
      return storing.then(() => {
        throw error
      })
    }
  }

  private start(exchange: Exchange): MaybePromise<void> {
    const { middleware } = this.deps.application
    if (middleware.length === 0) return this.handle(exchange, undefined)
    return this.limited(exchange, (context) =>
      runMiddleware(middleware, context, () => {
        // Its time is up and its client has been told: what came through the middleware now would be answered twice.
        if (!context.cancelled) return this.handle(exchange, context)
      })
        .catch((error) => {
          throw this.reported(error, 'middleware')
        })
        .then(() => {
          if (!context.cancelled && isUnanswered(exchange))
            throw new TidingsError('forbidden', 'The application refused it')
        }),
    )
  }

  private handle(exchange: Exchange, context: Context | undefined): MaybePromise<void> {
    const { frame } = exchange
    if (frame.to !== undefined) return this.route(exchange)
    const builtIn = this.deps.builtIns.get(frame.type)
    if (builtIn !== undefined) return builtIn(exchange)
    const handler = this.deps.application.handlers.get(frame.type)
    if (handler === undefined) throw new TidingsError('unknown_type')
    if (context !== undefined) return this.run(handler, exchange, context)
    return this.limited(exchange, (made) => this.run(handler, exchange, made))
  }

  /** The acknowledgement of a route comes when it is out; the session's next frame need not wait for that. */
  private route(exchange: Exchange): void {
    const routed = this.deps.router.route(exchange, exchange.frame.to as NonNullable<typeof exchange.frame.to>)
    if (!(routed instanceof Promise)) return
    const { session, frame } = exchange
    const answered = routed
      .catch((error) => {
        if (!exchange.answeredElsewhere) this.deps.fail(session, error, frame.id)
      })
      .finally(() => {
        if (session.storing === answered) session.storing = undefined
      })
    exchange.pending = routed
    if (this.deps.router.stores(frame, session)) session.storing = answered
  }

  private run(handler: Handler, exchange: Exchange, context: Context): MaybePromise<void> {
    const problem = handler.check?.(exchange.frame.payload)
    if (problem !== undefined) {
      throw new TidingsError('invalid_message', `Invalid ${problem.field}: ${problem.message}`, {
        details: { field: problem.field },
      })
    }
    if (handler.room !== undefined) context.authorise(handler.room)
    const started = this.deps.clock.monotonic()
    let result: unknown
    try {
      result = handler.run(context)
    } catch (error) {
      throw this.reported(error, 'handler')
    } finally {
      const ms = this.deps.clock.monotonic() - started
      if (ms > BLOCKED_MS) this.deps.blocked(exchange.session, handler.type, ms)
    }
    if (!isThenable(result)) return exchange.ack({ result })
    return Promise.resolve(result).then(
      (value) => {
        if (!context.cancelled) exchange.ack({ result: value })
      },
      (error) => {
        throw this.reported(error, 'handler')
      },
    )
  }

  /** Runs application code that may take its time, but not longer than it is given. */
  private limited(exchange: Exchange, run: (context: Context) => MaybePromise<void>): MaybePromise<void> {
    const context = new Context(exchange, this.deps.context)
    const outcome = run(context)
    const { handlerTimeoutMs } = this.deps
    if (!(outcome instanceof Promise) || handlerTimeoutMs === 0) return outcome
    const { promise, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      context.cancel()
      reject(new TidingsError('handler_timeout', `The handler took longer than ${handlerTimeoutMs} ms`))
    }, handlerTimeoutMs)
    return Promise.race([outcome, promise]).finally(() => clearTimeout(timer))
  }

  /** What an application throws is reported to it and to the log; an error meant for the client passes as it is. */
  private reported(error: unknown, stage: ErrorStage): unknown {
    if (error instanceof TidingsError) return error
    const marked = typeof error === 'object' && error !== null
    if (!marked || !this.known.has(error)) this.deps.report(error, stage)
    if (marked) this.known.add(error)
    return error
  }
}

/** Whether somebody waits for an answer that nothing is going to give. */
function isUnanswered({ frame, session, answered, pending, answeredElsewhere }: Exchange): boolean {
  const isAwaited = frame.id !== undefined || answeredElsewhere
  return isAwaited && !answered && pending === undefined && !session.closed
}

/** Promises of other makes too: a database's query is one, and runs only when it is waited for. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

async function runMiddleware(
  middleware: readonly Middleware[],
  context: Context,
  last: () => MaybePromise<void>,
): Promise<void> {
  const call = async (index: number): Promise<void> => {
    const next = middleware[index]
    if (next === undefined) return last()
    let called = false
    await next(context, () => {
      // A second call would handle the frame twice.
      if (called) throw new Error('next() was called twice in one middleware')
      called = true
      return call(index + 1)
    })
  }
  return call(0)
}
