/** The core as one thing: made of its parts, driven by transports, asked by HTTP routes and applications. */
import type { Config } from '../config.ts'
import { formatCursor, parseCursor } from '../protocol/cursor.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import { AckBatches } from './ack-batches.ts'
import { Admission } from './admission.ts'
import type { Application } from './application.ts'
import { type Answers, Asks } from './asks.ts'
import { CatchUp } from './catch-up.ts'
import type { Clock } from './clock.ts'
import type { Voice } from './context.ts'
import { Delivery } from './delivery.ts'
import { type BuiltIn, Dispatcher } from './dispatch.ts'
import { drain } from './drain.ts'
import { errorFrame } from './exchange.ts'
import { Heartbeat } from './heartbeat.ts'
import { Idempotency } from './idempotency.ts'
import type { Identity } from './identity.ts'
import { newCorrelationId } from './ids.ts'
import { Inbox } from './inbox.ts'
import { Laggards } from './laggards.ts'
import { admissionLimits, frameLimits, rateLimits, unlimited } from './limits.ts'
import { DeliveryLine } from './line.ts'
import type { Log } from './log.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { Observer } from './observer.ts'
import { openSession, type Start } from './opening.ts'
import type { Backend, LocalView } from './ports/backend.ts'
import { Presence } from './presence.ts'
import { type Publication, type Published, Publisher, type Recipient } from './publisher.ts'
import { RateLimiter } from './rate-limit.ts'
import { Receiver } from './receiver.ts'
import { Registry } from './registry.ts'
import { Reporter } from './reporter.ts'
import { isLost, type Kept, Resumables } from './resumable.ts'
import type { RoomRules } from './room.ts'
import { Rooms } from './rooms.ts'
import { Router } from './router.ts'
import type { Session } from './session.ts'
import { SlowConsumers } from './slow-consumers.ts'
import { storedDelivery } from './stored-delivery.ts'
import { roomTopic } from './topic.ts'
import { Turns } from './turns.ts'
import { Visitors } from './visitors.ts'
import type { NativeTopics } from './wire.ts'

export interface HubOptions {
  readonly config: Config
  readonly application: Application
  readonly rules: RoomRules
  readonly native: NativeTopics
  readonly backend: (local: LocalView) => Backend
  readonly builtIns: (hub: Hub) => ReadonlyMap<string, BuiltIn>
  /** Verifies a token for `refresh_token`. */
  readonly verify: (token: string) => Promise<Identity>
  readonly log: Log
  readonly clock: Clock
  readonly observers: readonly Observer[]
}

export class Hub {
  readonly config: Config
  readonly application: Application
  readonly clock: Clock
  readonly rules: RoomRules
  readonly registry = new Registry()
  readonly backend: Backend
  readonly rooms: Rooms
  readonly delivery: Delivery
  readonly publisher: Publisher
  readonly admission: Admission
  readonly heartbeat: Heartbeat
  readonly receiver: Receiver
  readonly asks = new Asks()
  readonly line: DeliveryLine
  readonly catchUp: CatchUp
  readonly inbox: Inbox
  readonly resumables: Resumables
  readonly visitors: Visitors
  readonly verify: (token: string) => Promise<Identity>
  readonly voice: Voice
  readonly reporter: Reporter
  private readonly idempotency: Idempotency<Published>
  private readonly presence: Presence
  private readonly laggards: Laggards
  private readonly slow: SlowConsumers
  private readonly timer: ReturnType<typeof setInterval>
  private leaving = false

  constructor(options: HubOptions) {
    const { config, application, clock, rules, log } = options
    this.config = config
    this.application = application
    this.clock = clock
    this.rules = rules
    this.verify = options.verify
    this.reporter = new Reporter(log, options.observers, application)
    const close = this.close.bind(this)
    const end = this.end.bind(this)
    const fail = this.fail.bind(this)
    this.backend = options.backend({ registry: this.registry, room: (name) => this.rooms.get(name) })
    const store = this.backend.log
    const maxPendingBytes = config.limits.max_pending_bytes
    this.laggards = new Laggards({ clock, maxPendingBytes, delivered: () => this.line.delivered })
    this.slow = new SlowConsumers(this.registry, maxPendingBytes, close, this.laggards)
    this.delivery = new Delivery(this.registry, options.native, (bytes) => this.pressure(bytes))
    this.presence = new Presence(clock, config.presence.max_members, (room, frame, except) =>
      this.delivery.broadcaster.publish(room.topic, new Message(frame), except),
    )
    const { attendances, states, slots } = this.backend
    const maxRooms = unlimited(config.limits.max_rooms)
    const busyTopic = (room: string) => this.delivery.broadcaster.busyTopic(roomTopic(room))
    this.rooms = new Rooms({ rules, attendances, states, presence: this.presence, maxRooms, busyTopic })
    const { registry, delivery, rooms } = this
    const line = new DeliveryLine(storedDelivery({ registry, delivery, rooms: () => rooms }), log, store.head())
    store.onCommitted((batch, head) => line.push(batch, head))
    this.line = line
    this.publisher = new Publisher({
      clock,
      delivery,
      registry,
      rooms,
      rules,
      log: store,
      line,
      inbox: { maxMessages: config.inbox.max_messages, maxAgeMs: config.inbox.max_age },
    })
    this.catchUp = new CatchUp({
      clock,
      log: store,
      line,
      delivery,
      turns: new Turns(clock),
      maxReplayed: unlimited(config.limits.replay_messages),
      close,
      end,
    })
    this.inbox = new Inbox(store, this.catchUp)
    this.resumables = new Resumables(clock, config.session.resume_ms)
    this.idempotency = new Idempotency(clock, config.store.idempotency_ms)
    this.admission = new Admission({
      clock,
      registry: this.registry,
      slots,
      limits: admissionLimits(config),
      replace: (session) => this.end(session, new TidingsError('connection_limit', undefined, { reconnect: false })),
      reap: (session) => this.close(session, CLOSE.heartbeatTimeout, 'heartbeat_timeout'),
    })
    this.heartbeat = new Heartbeat({
      clock,
      registry: this.registry,
      intervalMs: config.heartbeat.interval_ms,
      timeoutMs: config.heartbeat.timeout_ms,
      expiryWarningMs: config.auth.expiry_warning_ms,
      position: (session) => this.catchUp.positionOf(session),
      close,
      end,
    })
    this.voice = {
      publish: (to, type, payload, except) => this.publish({ to, type, payload, except }),
      askOne: async (to, type, payload, timeoutMs) => {
        const { answers } = await this.ask(to, type, payload, timeoutMs, 1)
        return answers[0]
      },
    }
    const router = new Router({
      publisher: this.publisher,
      rooms: this.rooms,
      rules,
      idempotency: this.idempotency,
      acks: new AckBatches(),
      direct: config.direct.publish,
    })
    const dispatcher = new Dispatcher({
      clock,
      application,
      builtIns: options.builtIns(this),
      router,
      context: { rooms: this.rooms, rules, voice: this.voice, log },
      handlerTimeoutMs: config.handlers.timeout_ms,
      blocked: (session, type, ms) => this.reporter.tell((observer) => observer.blocked?.(session, type, ms)),
      fail,
      report: (error, stage) => this.reporter.report(error, stage),
    })
    const limiter = new RateLimiter(rateLimits(config))
    this.visitors = new Visitors(clock, limiter)
    this.receiver = new Receiver({
      clock,
      limiter,
      frameLimits: frameLimits(config),
      maxMessageBytes: config.limits.max_message_bytes,
      maxWaitingBytes: config.limits.max_pending_bytes,
      asking: () => this.asks.size > 0,
      dispatch: (exchange) => dispatcher.dispatch(exchange),
      fail,
      end,
    })
    this.timer = setInterval(() => this.sweep(), this.heartbeat.lookIntervalMs)
  }

  /** Whether the server is leaving: nobody new is let in. */
  get draining(): boolean {
    return this.leaving
  }

  /** A session's position in everything it receives, never ahead of what it was handed; without one, this instance's. */
  position(session?: Session): string {
    return formatCursor(session === undefined ? this.line.delivered : this.catchUp.positionOf(session))
  }

  /**
   * Registers a session whose wire is ready and opens it. Frames may be given to `receiver` from now on; they wait until
   * `welcome` is out.
   */
  open(session: Session, start: Start): void {
    this.registry.add(session)
    if (start.kept !== undefined) start.kept.heir = session.connectionId
    this.heartbeat.begin(session)
    this.receiver.hold(session)
    // Whoever passed the door before it was shut would be missed by those who send everybody away.
    if (this.leaving) {
      this.end(session, new TidingsError('draining'))
      return
    }
    openSession(this, session, start)
      .then(() => this.opened(session))
      .catch((error) => this.refuse(session, error))
  }

  /**
   * A client does not read as fast as it is sent to.
   * @param bytes what was sent into its full socket, or into that of one of many.
   */
  pressure(bytes = 0): void {
    this.slow.suspect(bytes)
  }

  /** Notes a sign of life that was no frame. A pong brings back the position that its ping carried. */
  alive(session: Session, echoed?: string): void {
    session.lastInbound = this.clock.monotonic()
    const cursor = echoed === undefined ? undefined : parseCursor(echoed)
    if (cursor !== undefined) this.inbox.arrived(session, cursor)
  }

  /**
   * Takes over the connection of a client that comes back: what it had is kept for the new one, and where it is still open
   * it is closed, before limits are counted. So is one that was given the same before and of which the client has not heard.
   */
  takeOver(connectionId: string, userId: string, deviceId: string): Kept | undefined {
    const close = (id: string | undefined): void => {
      const former = id === undefined ? undefined : this.registry.get(id)
      if (former === undefined || former.userId !== userId || former.deviceId !== deviceId) return
      this.resumables.keep(former)
      this.rooms.linger(former, this.clock.monotonic() + TAKE_OVER_MS)
      this.end(former, new TidingsError('connection_limit', 'Taken over by a newer connection', { reconnect: false }))
    }
    close(connectionId)
    const kept = this.resumables.find(connectionId, userId, deviceId)
    close(kept?.heir)
    return kept
  }

  /** The client is gone: everything that belongs to the session is freed. Once, however often it is called. */
  closed(session: Session, code: number, reason: string): void {
    if (session.closed) return
    const gathered = session.state === 'draining'
    if (isLost(code)) this.resumables.keep(session)
    session.state = 'closed'
    session.gate = undefined
    const graceMs = this.config.presence.grace_ms
    if (graceMs > 0 && isLost(code) && !gathered) this.rooms.linger(session, this.clock.monotonic() + graceMs)
    this.rooms.leaveAll(session, gathered)
    this.laggards.forget(session)
    this.registry.remove(session)
    this.backend.slots.release(session.userId, session.connectionId)
    this.receiver.abandon(session)
    const closing = { code, reason, durationMs: Math.round(this.clock.now() - session.connectedAt) }
    this.reporter.tell((observer) => observer.closed?.(session, closing))
    void this.reporter.run('disconnect', this.application.hooks.onDisconnect, (hook) => hook(session, closing))
  }

  /** Ends a connection with a close code. */
  close(session: Session, code: number, reason: string): void {
    if (session.closed) return
    session.flush()
    this.closed(session, code, reason)
    session.wire.end(code, reason)
  }

  /** Tells a client why and ends its connection. */
  end(session: Session, error: TidingsError): void {
    if (session.closed) return
    this.sayError(session, error, undefined)
    this.close(session, error.close, error.errorName)
  }

  /** Tells a client that its frame failed and keeps the connection. */
  fail(session: Session, thrown: unknown, frameId: string | undefined): void {
    this.sayError(session, TidingsError.from(thrown), frameId)
  }

  /** The answer to a frame that failed, where the client waits for it elsewhere than on its connection. */
  failure(session: Session, error: TidingsError, frameId: string | undefined): ServerFrame {
    const correlationId = frameId ?? newCorrelationId()
    this.reporter.tell((observer) => observer.failed?.(session, error, correlationId))
    return errorFrame(error, correlationId, this.clock)
  }

  publish(publication: Publication): MaybePromise<Published> {
    return this.publisher.publish(publication)
  }

  /** Publishes once for each key: a repeated one gets the first answer. */
  publishOnce(key: string, publication: Publication): MaybePromise<Published> {
    const scope = `\n${keyScope(key)}`
    return this.idempotency.once(scope, key, () => this.publish({ ...publication, idempotency: { scope, key } }))
  }

  /** Publishes an event that wants answers; resolves when all have come, or enough of them, or the time is up. */
  async ask(
    to: Recipient,
    type: string,
    payload: unknown,
    timeoutMs: number,
    enough?: number,
  ): Promise<Answers & { published: Published }> {
    let published: Published | undefined
    const answers = await this.asks.ask(
      timeoutMs,
      async (ackId) => {
        published = await this.publish({ to, type, payload, ackId })
        return published.online
      },
      enough,
    )
    return { ...answers, published: published as Published }
  }

  /**
   * Lets everybody go, spread over the configured window, and resolves when the last is gone.
   * @param signal ends the spreading: what is left is closed at once.
   */
  async drain(reason: string, signal: AbortSignal): Promise<void> {
    this.leaving = true
    const deps = { clock: this.clock, registry: this.registry, close: this.close.bind(this) }
    await drain(deps, reason, this.config.drain.window_ms, signal)
  }

  /** Lets nobody in any more. {@link drain} does so too. */
  refuseNew(): void {
    this.leaving = true
  }

  /** Stops what runs by itself. */
  stop(): void {
    clearInterval(this.timer)
    this.slow.stop()
    this.presence.close()
    this.asks.closeAll()
  }

  private opened(session: Session): void {
    if (session.closed) return
    this.heartbeat.lookAtToken(session, this.clock.monotonic())
    this.reporter.tell((observer) => observer.opened?.(session))
    this.receiver.release(session)
  }

  private refuse(session: Session, thrown: unknown): void {
    if (!(thrown instanceof TidingsError)) this.reporter.report(thrown, 'connect')
    this.end(session, TidingsError.from(thrown))
  }

  private sayError(session: Session, error: TidingsError, frameId: string | undefined): void {
    session.send(this.failure(session, error, frameId))
  }

  private sweep(): void {
    this.heartbeat.sweep()
    this.idempotency.sweep()
    this.catchUp.sweep()
    this.admission.sweep()
    this.backend.sweep()
    this.resumables.sweep()
    this.visitors.sweep()
    this.rooms.sweep(this.clock.monotonic())
  }
}

/**
 * Scopes over which the keys of backends are spread. A scope remembers a few hundred keys, which is ample for a device and
 * nothing for a backend that publishes a thousand a second.
 */
const KEY_SCOPES = 1024

function keyScope(key: string): number {
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = (hash * 31 + key.charCodeAt(at)) >>> 0
  return hash % KEY_SCOPES
}

/** Milliseconds within which a connection that takes another over must stand in its rooms, or its user has left them. */
const TAKE_OVER_MS = 10_000
