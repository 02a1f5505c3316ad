/** The core as one thing: made of its parts, driven by transports, asked by HTTP routes and applications. */
import type { Config } from '../config.ts'
import { formatCursor, parseCursor } from '../protocol/cursor.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import { AckBatches } from './ack-batches.ts'
import { Admission } from './admission.ts'
import type { Application } from './application.ts'
import { Audience } from './audience.ts'
import { CatchUp } from './catch-up.ts'
import type { Clock } from './clock.ts'
import { Delivery } from './delivery.ts'
import { Disconnects } from './disconnects.ts'
import { type BuiltIn, Dispatcher } from './dispatch.ts'
import { drain } from './drain.ts'
import { Errands } from './errands.ts'
import { errorFrame } from './exchange.ts'
import { FirstIds } from './first-ids.ts'
import { ForeignAsks } from './foreign-asks.ts'
import { tellGap } from './gap-notice.ts'
import { Heartbeat } from './heartbeat.ts'
import { Idempotency } from './idempotency.ts'
import type { Identity } from './identity.ts'
import { newCorrelationId } from './ids.ts'
import { Inbox } from './inbox.ts'
import { Interests } from './interests.ts'
import { Laggards } from './laggards.ts'
import { admissionLimits, frameLimits, rateLimits, unlimited } from './limits.ts'
import { DeliveryLine } from './line.ts'
import { Listing } from './listing.ts'
import type { Log } from './log.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { Observer } from './observer.ts'
import { openSession, type Start } from './opening.ts'
import { Peers } from './peers.ts'
import type { Backend, LocalView } from './ports/backend.ts'
import { Presence } from './presence.ts'
import type { Publication, Published } from './publication.ts'
import { Publisher } from './publisher.ts'
import { RateLimiter } from './rate-limit.ts'
import { Receiver } from './receiver.ts'
import { Registry } from './registry.ts'
import { Relay } from './relay.ts'
import { Reporter } from './reporter.ts'
import { isLost, Resumables } from './resumable.ts'
import { RevokedTokens } from './revoked-tokens.ts'
import { Revoker } from './revoker.ts'
import type { RoomRules } from './room.ts'
import { Rooms } from './rooms.ts'
import { Router } from './router.ts'
import type { Session } from './session.ts'
import { Shedding } from './shedding.ts'
import { SlowConsumers } from './slow-consumers.ts'
import { Speaker } from './speaker.ts'
import { storedDelivery } from './stored-delivery.ts'
import { userLog } from './stored-topics.ts'
import { TakeOver } from './take-over.ts'
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
  /** Verifies a token, but for whether it was revoked. */
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
  readonly peers: Peers
  readonly errands: Errands
  readonly takeOver: TakeOver
  readonly disconnects: Disconnects
  readonly shedding: Shedding
  readonly revoked: RevokedTokens
  readonly revoker: Revoker
  readonly line: DeliveryLine
  readonly catchUp: CatchUp
  readonly inbox: Inbox
  readonly resumables: Resumables
  readonly visitors: Visitors
  /** Verifies a token, revocation included. */
  readonly verify: (token: string) => Promise<Identity>
  readonly speaker: Speaker
  readonly listing: Listing
  readonly presence: Presence
  readonly reporter: Reporter
  private readonly relay: Relay
  private readonly foreignAsks: ForeignAsks
  private readonly interests: Interests
  private readonly idempotency: Idempotency<Published>
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
    this.revoked = new RevokedTokens(clock)
    this.verify = async (token) => this.revoked.check(await options.verify(token))
    this.reporter = new Reporter(log, options.observers, application)
    const close = this.close.bind(this)
    const end = this.end.bind(this)
    const fail = this.fail.bind(this)
    this.backend = options.backend({
      registry: this.registry,
      room: (name) => this.rooms.get(name),
      rooms: () => this.rooms.byName,
    })
    const { attendances, bus, directory, log: store, revocations, shelf, states } = this.backend
    this.peers = new Peers(bus)
    this.foreignAsks = new ForeignAsks(clock, this.peers)
    this.errands = new Errands(this.peers)
    const maxPendingBytes = config.limits.max_pending_bytes
    this.laggards = new Laggards({ clock, maxPendingBytes, delivered: () => this.line.delivered })
    this.slow = new SlowConsumers(this.registry, maxPendingBytes, close, this.laggards)
    this.delivery = new Delivery(this.registry, options.native, (bytes) => this.pressure(bytes))
    this.presence = new Presence({
      clock,
      maxMembers: config.presence.max_members,
      attendances,
      room: (name) => this.rooms.get(name),
      tell: (room, frame, except) => this.delivery.broadcaster.publish(room.topic, new Message(frame), except),
    })
    const maxRooms = unlimited(config.limits.max_rooms)
    const busyTopic = (room: string) => this.delivery.broadcaster.busyTopic(roomTopic(room))
    const { registry, delivery } = this
    const deliver = storedDelivery({ registry, delivery, rooms: () => this.rooms })
    const line = new DeliveryLine(deliver, (gap) => tellGap(this, gap), log, store.head())
    store.onCommitted((batch, head) => line.push(batch, head))
    store.onGap?.((gap) => line.pushGap(gap))
    this.line = line
    this.interests = new Interests(store, line)
    this.rooms = new Rooms({
      rules,
      attendances,
      states,
      interests: this.interests,
      maxRooms,
      busyTopic,
      departed: ({ connectionId }) => directory.release(connectionId),
    })
    const { rooms } = this
    this.idempotency = new Idempotency(clock, config.store.idempotency_ms)
    const firstIds = new FirstIds(shelf, config.store.idempotency_ms)
    this.relay = new Relay({
      bus,
      delivery,
      rooms: () => rooms,
      idempotency: this.idempotency,
      firstIds,
      asks: this.foreignAsks,
      online: (to) => this.publisher.online(to),
    })
    this.publisher = new Publisher({
      clock,
      delivery,
      registry,
      rooms,
      rules,
      log: store,
      line,
      relay: this.relay,
      audience: new Audience(bus && directory),
      firstIds,
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
    this.resumables = new Resumables(clock, config.session.resume_ms, shelf)
    this.takeOver = new TakeOver({
      clock,
      registry,
      rooms,
      resumables: this.resumables,
      directory,
      peers: this.peers,
      end,
    })
    const { errands, peers } = this
    this.disconnects = new Disconnects({ registry, directory, peers, end })
    this.shedding = new Shedding({
      clock,
      registry,
      close,
      peers,
      errands,
      directory,
      windowMs: config.drain.window_ms,
    })
    const { revoked } = this
    this.revoker = new Revoker({ clock, registry, directory, peers, store: revocations, revoked, log, end })
    this.admission = new Admission({
      clock,
      registry: this.registry,
      directory,
      peers: this.peers,
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
    const { foreignAsks, idempotency, publisher, resumables } = this
    this.speaker = new Speaker({ publisher, idempotency, foreignAsks, peers })
    this.listing = new Listing({ directory, registry, resumables, end, missed: () => this.revoker.missed() })
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
      context: { rooms: this.rooms, rules, voice: this.speaker, log },
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
      asking: () => this.speaker.asking,
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
    const { former } = start
    if (former !== undefined) this.resumables.inherit(former.connectionId, former.kept, session.connectionId)
    this.heartbeat.begin(session)
    this.receiver.hold(session)
    // Whoever passed the door before it was shut would be missed by those who send everybody away.
    if (this.leaving) {
      this.end(session, new TidingsError('draining'))
      return
    }
    // So would whoever came past the check of its token before that was revoked.
    if (this.revoked.has(session.identity, session.deviceId)) {
      this.end(session, new TidingsError('token_revoked'))
      return
    }
    this.welcome(session, start).catch((error) => this.refuse(session, error))
  }

  private async welcome(session: Session, start: Start): Promise<void> {
    const inbox = userLog(session.userId)
    const told = this.interests.want(inbox)
    if (told !== undefined) await told
    // Whoever was closed meanwhile was told of nothing, and gave nothing back.
    if (session.closed) {
      this.interests.release(inbox)
      return
    }
    session.hearsUser = true
    await openSession(this, session, start)
    this.opened(session, start)
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

  /** The client is gone: everything that belongs to the session is freed. Once, however often it is called. */
  closed(session: Session, code: number, reason: string): void {
    if (session.closed) return
    const gathered = session.state === 'draining'
    if (isLost(code)) this.resumables.keep(session)
    // Before anybody hears of its end: its client may come back by another instance, and goes on after what it has acknowledged.
    void Promise.resolve(this.inbox.settle(session)).catch(() => {})
    session.state = 'closed'
    session.gate = undefined
    if (session.hearsUser) this.interests.release(userLog(session.userId))
    const graceMs = this.config.presence.grace_ms
    if (graceMs > 0 && isLost(code) && !gathered) this.rooms.linger(session, this.clock.monotonic() + graceMs)
    this.rooms.leaveAll(session, { gathered })
    this.laggards.forget(session)
    this.registry.remove(session)
    this.listing.free(session, { lingers: this.rooms.lingers(session), gathered })
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

  /**
   * Lets everybody go, spread over the configured window, and resolves when the last is gone.
   * @param signal ends the spreading: what is left is closed at once.
   */
  async drain(reason: string, signal: AbortSignal): Promise<void> {
    this.leaving = true
    const deps = { clock: this.clock, registry: this.registry, close: this.close.bind(this) }
    await drain(deps, reason, this.config.drain.window_ms, signal)
  }

  /** Waits until everything is known that must be. To be called once, before anybody comes in. */
  async begin(): Promise<void> {
    await this.backend.begin?.()
    await this.revoker.begin()
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
    this.speaker.asks.closeAll()
  }

  private opened(session: Session, { former }: Start): void {
    if (session.closed) return
    if (former !== undefined) this.takeOver.settled(former)
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
    this.foreignAsks.sweep()
    this.catchUp.sweep()
    this.admission.sweep()
    this.backend.sweep()
    this.resumables.sweep()
    this.visitors.sweep()
    this.revoker.sweep()
    this.rooms.sweep(this.clock.monotonic())
  }
}
