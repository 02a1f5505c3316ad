/** What a handler or middleware is given for one frame: who sent it, the room it means, and ways to speak. */
import { TidingsError } from '../protocol/errors.ts'
import { isRecord, type Target } from '../protocol/frames.ts'
import { AckTimeout, type Answer } from './asks.ts'
import type { Exchange } from './exchange.ts'
import { hasRole } from './identity.ts'
import type { Log, LogFields } from './log.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { type Published, type Recipient, recipientOf, type To } from './publication.ts'
import type { RoomGuard, RoomRules } from './room.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'

/** Sending to anybody, in the server's name. */
export interface Voice {
  publish(to: Recipient, type: string, payload: unknown, except?: Session): MaybePromise<Published>
  /** Sends an event that wants an answer and gives the first that comes in time. */
  askOne(to: Recipient, type: string, payload: unknown, timeoutMs: number): Promise<Answer | undefined>
}

/** The sender, as the server knows it. */
export interface ContextUser {
  readonly id: string
  readonly deviceId: string
  readonly username: string | undefined
  readonly roles: readonly string[]
}

/** Writes lines that carry the frame's correlation id. */
export interface ContextLog {
  debug(fields: LogFields): void
  info(fields: LogFields): void
  warn(fields: LogFields): void
  error(fields: LogFields): void
}

export interface ContextDeps {
  readonly rooms: Rooms
  readonly rules: RoomRules
  readonly voice: Voice
  readonly log: Log
}

/** A room as a handler uses it. */
export class ContextRoom {
  readonly name: string
  private readonly voice: Voice
  private readonly session: Session

  constructor(name: string, voice: Voice, session: Session) {
    this.name = name
    this.voice = voice
    this.session = session
  }

  /** Publishes to all members, the sender of the frame included. */
  publish(type: string, payload: unknown): MaybePromise<Published> {
    return this.voice.publish({ kind: 'room', room: this.name }, type, payload)
  }

  /** Publishes to all members but the connection whose frame is being handled. */
  broadcast(type: string, payload: unknown): MaybePromise<Published> {
    return this.voice.publish({ kind: 'room', room: this.name }, type, payload, this.session)
  }
}

export class Context {
  readonly session: Session
  readonly type: string
  readonly payload: unknown
  /** Whether the handler's time is up: its result will reach nobody. */
  cancelled = false
  private controller: AbortController | undefined
  private readonly exchange: Exchange
  private readonly deps: ContextDeps

  constructor(exchange: Exchange, deps: ContextDeps) {
    this.exchange = exchange
    this.session = exchange.session
    this.type = exchange.frame.type
    this.payload = exchange.frame.payload
    this.deps = deps
  }

  /** Aborted when the handler's time is up. Made when first asked for: most handlers do not wait. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController()
    if (this.cancelled) this.controller.abort()
    return this.controller.signal
  }

  /** Tells the handler that its time is up. */
  cancel(): void {
    this.cancelled = true
    this.controller?.abort()
  }

  get user(): ContextUser {
    const { userId, deviceId, identity } = this.session
    return { id: userId, deviceId, username: identity.username, roles: identity.roles }
  }

  /** The frame's id, for a client that asked for an answer. */
  get correlationId(): string | undefined {
    return this.exchange.frame.id
  }

  get to(): Target | undefined {
    return this.exchange.frame.to
  }

  /** The room that `payload.room` names, or the only one joined; `undefined` where neither is. */
  get room(): ContextRoom | undefined {
    const name = this.roomName()
    return name === undefined ? undefined : new ContextRoom(name, this.deps.voice, this.session)
  }

  get log(): ContextLog {
    const log = this.deps.log.child({
      connection_id: this.session.connectionId,
      user_id: this.session.userId,
      correlation_id: this.correlationId,
      type: this.type,
    })
    return {
      debug: (fields) => log.debug('handler', fields),
      info: (fields) => log.info('handler', fields),
      warn: (fields) => log.warn('handler', fields),
      error: (fields) => log.error('handler', fields),
    }
  }

  /** Publishes in the server's name. A function of its own, so that a handler may take it out of its context. */
  get publish() {
    return (to: To, type: string, payload: unknown): MaybePromise<Published> =>
      this.deps.voice.publish(recipientOf(to), type, payload)
  }

  /**
   * Sends an event to the device whose frame is being handled and waits for its answer; of several connections of the
   * device, the first answer counts. Rejects with `AckTimeout` where none came in time.
   */
  get emitWithAck() {
    return async (type: string, payload: unknown, options: { timeoutMs: number }): Promise<unknown> => {
      const { userId, deviceId } = this.session
      const to: Recipient = { kind: 'device', userId, deviceId }
      const answer = await this.deps.voice.askOne(to, type, payload, options.timeoutMs)
      if (answer === undefined) throw new AckTimeout(options.timeoutMs)
      return answer.result
    }
  }

  /** @throws TidingsError `forbidden` where the guard does not let the session pass. */
  authorise(guard: RoomGuard): void {
    const name = this.deps.rooms.meant(this.session, isRecord(this.payload) ? this.payload['room'] : undefined)
    const room = this.deps.rooms.get(name)
    if (!room?.has(this.session)) throw new TidingsError('forbidden', 'Only members of the room may do this')
    if (guard === 'member') return
    const role = guard === 'admin' ? 'admin' : guard.role
    if (this.deps.rules.isAdmin(this.session.identity) || hasRole(this.session.identity, name, role)) return
    throw new TidingsError('forbidden', 'Another role in the room is needed for this')
  }

  private roomName(): string | undefined {
    const named = isRecord(this.payload) ? this.payload['room'] : undefined
    try {
      return this.deps.rooms.meant(this.session, named)
    } catch {
      return undefined
    }
  }
}
