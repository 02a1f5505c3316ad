/** The client: one connection that comes back, and everything that is said over it. */
import type { ServerFrame } from '../protocol/frames.ts'
import { jsonCodec } from './codec.ts'
import { Connection, type State, type StateChange } from './connection.ts'
import { type Environment, environmentWith, randomId } from './environment.ts'
import { ClientError } from './error.ts'
import { type FrameParts, routeFrame } from './frame-router.ts'
import { Intake } from './intake.ts'
import type { TransportName } from './ladder.ts'
import { watchLifecycle } from './lifecycle.ts'
import { Listeners } from './listeners.ts'
import type { ClientOptions, RequestOptions } from './options.ts'
import { Outbox, type Outgoing, type SendOptions } from './outbox.ts'
import { type Published, type PublishOptions, Room } from './room.ts'
import { Rooms } from './rooms.ts'
import { Tokens } from './token.ts'
import type {
  EventName,
  EventPayload,
  Listener,
  Recipient,
  RequestArguments,
  RequestName,
  ResultOf,
  Welcome,
} from './types.ts'

const REQUEST_TIMEOUT_MS = 10_000
const PUBLISH_TIMEOUT_MS = 60_000
/** A join brings its history before it is answered. */
const JOIN_TIMEOUT_MS = 30_000
const MAX_QUEUED = 1000

/**
 * Connects to a Tidings server and stays connected. `App` is the type of the server's app, for its requests and events:
 * `new TidingsClient<typeof app>()`.
 */
export class TidingsClient<App = unknown> {
  readonly #environment: Environment
  readonly #onError: (error: unknown) => void
  readonly #tokens: Tokens
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #rooms: Rooms
  readonly #intake: Intake
  readonly #listeners: Listeners
  readonly #stateListeners = new Set<(change: StateChange) => void>()
  readonly #handles = new Map<string, { room: Room<App>; listeners: Listeners }>()
  #deviceId: string | undefined
  #welcomeOf: Welcome | undefined
  #unwatch: (() => void) | undefined

  constructor(options: ClientOptions = {}) {
    const environment = environmentWith(options.environment ?? {})
    this.#environment = environment
    this.#onError = options.onError ?? ((error) => console.error(error))
    this.#deviceId = options.deviceId
    this.#tokens = new Tokens(options.token)
    this.#outbox = new Outbox(environment.clock, options.maxQueued ?? MAX_QUEUED)
    this.#listeners = new Listeners(this.#onError)
    this.#rooms = new Rooms({
      join: (payload) => this.#ask('join_room', payload, { timeoutMs: JOIN_TIMEOUT_MS, again: false }),
      leave: (room) => this.#background(this.#sendLeave(room)),
      release: (frame) => this.#intake.handOn(frame),
      trouble: (room, error, since) => this.#roomTrouble(room, error, since),
    })
    this.#intake = new Intake(options.cursor, {
      clock: environment.clock,
      rooms: this.#rooms,
      listeners: (room) => {
        const handle = room === undefined ? undefined : this.#handles.get(room)
        return handle === undefined ? [this.#listeners] : [this.#listeners, handle.listeners]
      },
      isOwn: (sender) => sender.user_id === this.#welcomeOf?.user_id && sender.device_id === this.#welcomeOf.device_id,
      acknowledge: (payload) => this.#acknowledge(payload),
    })
    const parts: FrameParts = {
      outbox: this.#outbox,
      intake: this.#intake,
      rooms: this.#rooms,
      comeBackAfter: (ms) => this.#connection.comeBackAfter(ms),
      expiring: () => this.#background(this.#refreshToken()),
    }
    this.#connection = new Connection(
      {
        url: endpointOf(options.url),
        transports: options.transports ?? ['websocket', 'sse', 'poll'],
        codec: options.codec ?? jsonCodec,
        tokens: this.#tokens,
        environment,
      },
      {
        query: () => this.#query(),
        welcome: (welcome, frame) => this.#welcomed(welcome, frame),
        frame: (frame, inStream) => routeFrame(frame, inStream, parts),
        position: (cursor) => this.#intake.advance(cursor),
        lost: (code) => this.#lost(code),
        state: (change) => this.#changed(change),
        error: this.#onError,
        leaving: () => this.#prepareMove(),
        stayed: () => this.#outbox.release(),
      },
    )
  }

  get state(): State {
    return this.#connection.state
  }

  /** What the connection runs over; `undefined` unless it is open. */
  get transport(): TransportName | undefined {
    return this.#connection.transport
  }

  /**
   * How far the application has got: give it to the next client of this device to go on from here. A stored message is
   * processed when its listeners have returned, and their promises are settled.
   */
  get cursor(): string | undefined {
    return this.#intake.progress.cursor
  }

  /** The server's first words on the present or last connection: who we are, its limits. */
  get welcome(): Welcome | undefined {
    return this.#welcomeOf
  }

  /**
   * Connects, and stays connected until `close()`. While `waiting` or `suspended` it tries again at once.
   * @returns when the connection is open first.
   * @throws ClientError where the server said that coming back does not help, or `close()` was called.
   */
  connect(): Promise<void> {
    this.#unwatch ??= watchLifecycle(this.#environment.page, {
      wake: () => this.#connection.wake(),
      online: () => this.#connection.online(),
    })
    this.#connection.connect()
    const opened = new Promise<void>((resolve, reject) => {
      if (this.state === 'open') {
        resolve()
        return
      }
      const stop = this.onState(({ state, error }) => {
        if (state === 'connecting' || state === 'waiting') return
        stop()
        if (state === 'open') resolve()
        else reject(error ?? new ClientError('closed', 'The client was closed'))
      })
    })
    // Whoever does not wait for it must not be ended by a rejection that nobody handles.
    opened.catch(() => {})
    return opened
  }

  /** Ends the connection for good: whatever waits for an answer rejects with `closed`. `connect()` begins anew. */
  close(): void {
    this.#intake.flush()
    this.#intake.stop()
    this.#unwatch?.()
    this.#unwatch = undefined
    const error = new ClientError('closed', 'The client was closed')
    this.#outbox.failAll(error)
    this.#rooms.failPending(error)
    this.#connection.close()
  }

  /** Hears every change of state, in order. @returns what ends the listening. */
  onState(listener: (change: StateChange) => void): () => void {
    const own = (change: StateChange): void => listener(change)
    this.#stateListeners.add(own)
    return () => void this.#stateListeners.delete(own)
  }

  /**
   * Listens to messages of a type from anywhere, `'*'` to all of them; also to what the server itself says, such as `gap`.
   * @returns what ends the listening.
   */
  on<Name extends EventName<App>>(type: Name, listener: Listener<EventPayload<App, Name>>): () => void {
    return this.#listeners.add(type, listener as Listener<unknown>)
  }

  /**
   * Asks the handler of a type.
   * @returns what the handler returned.
   * @throws ClientError what the server answered, `timeout`, or `connection_lost`.
   */
  async request<Name extends RequestName<App>>(
    type: Name,
    ...[payload, options = {}]: RequestArguments<App, Name, RequestOptions>
  ): Promise<ResultOf<App, Name>> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, idempotent = false } = options
    const answer = await this.#ask(type, payload, { timeoutMs, again: idempotent })
    return answer['result'] as ResultOf<App, Name>
  }

  /**
   * Sends a message to a room, a user, a device. Without a connection it waits; it is delivered once, however often the
   * connection is lost meanwhile.
   * @returns when the server has it: stored, where it is stored.
   */
  async publish<Name extends EventName<App>>(
    to: Recipient,
    type: Name,
    payload: EventPayload<App, Name>,
    { ephemeral = false, timeoutMs = PUBLISH_TIMEOUT_MS }: PublishOptions = {},
  ): Promise<Published> {
    const frame = { type, to, payload, ...(ephemeral && { ephemeral }) }
    const answer = await this.#send(frame, { timeoutMs, again: true })
    return answer.payload as Published
  }

  /** A room to listen to, join, and talk in: always the same object for a name. */
  room(name: string): Room<App> {
    const known = this.#handles.get(name)
    if (known !== undefined) return known.room
    const listeners = new Listeners(this.#onError)
    const room = new Room<App>(name, {
      listeners,
      join: (options) => this.#rooms.join(name, options),
      leave: async () => {
        if (this.#rooms.leave(name)) await this.#sendLeave(name)
      },
      publish: (type, payload, options) => this.publish({ room: name }, type, payload as never, options),
      ask: (type, payload) => this.#ask(type, payload, { timeoutMs: REQUEST_TIMEOUT_MS, again: false }),
      participants: () => this.#rooms.participants(name),
    })
    this.#handles.set(name, { room, listeners })
    return room
  }

  /** Short for `room(name)` and its `join()`. Where history is wanted, listen before. */
  async join(name: string, options: { since?: string; history?: number } = {}): Promise<Room<App>> {
    const room = this.room(name)
    await room.join(options)
    return room
  }

  #query(): Record<string, string> {
    const { cursor } = this.#intake.position
    return {
      ack: 'explicit',
      cursor: cursor ?? '',
      rooms: this.#rooms.named(cursor),
      resume: this.#welcomeOf?.connection_id ?? '',
      device_id: this.#deviceId ?? '',
    }
  }

  #welcomed(welcome: Welcome, frame: ServerFrame): void {
    this.#welcomeOf = welcome
    // A device made for one connection: without its name the next one would be another device, and could resume nothing.
    this.#deviceId = welcome.device_id
    this.#intake.reset(welcome.cursor)
    this.#outbox.attach((outgoing) => this.#write(outgoing), welcome.limits)
    this.#rooms.welcomed(welcome.rooms)
    this.#intake.reconnected()
    this.#intake.handOn(frame)
    for (const { room, since } of welcome.resume.gaps) this.#gap(room, since)
  }

  #lost(code: number | undefined): void {
    // Saying it again would have the same end.
    if (code === 1009) this.#outbox.failInFlight(new ClientError('payload_too_large', 'Too large'))
    this.#outbox.detach()
    this.#rooms.lost(this.#intake.position.cursor)
  }

  #changed(change: StateChange): void {
    if (change.state === 'suspended' && change.error !== undefined) {
      this.#outbox.failAll(change.error)
      this.#rooms.failPending(change.error)
    }
    for (const listener of [...this.#stateListeners]) {
      try {
        listener(change)
      } catch (error) {
        this.#onError(error)
      }
    }
  }

  async #refreshToken(): Promise<void> {
    if (!this.#tokens.renewable) return
    const token = await this.#tokens.renew()
    // The next connection begins with it.
    if (this.state !== 'open') return
    await this.#ask('refresh_token', { token }, { timeoutMs: REQUEST_TIMEOUT_MS, again: false })
  }

  #prepareMove(): boolean {
    if (this.#outbox.fragile) return false
    this.#outbox.hold()
    return true
  }

  #roomTrouble(room: string, error: ClientError | undefined, since: string | undefined): void {
    if (error === undefined) this.#gap(room, since)
    else this.#onError(error)
  }

  /** @param room absent: the inbox. */
  #gap(room: string | undefined, since: string | undefined): void {
    const payload = { ...(room && { rooms: [room] }), from: since, cursor: this.#intake.position.cursor }
    this.#intake.handOn({ type: 'gap', payload, ...(room && { room }), timestamp: Date.now() / 1000 })
  }

  async #sendLeave(room: string): Promise<void> {
    await this.#ask('leave_room', { room }, { timeoutMs: PUBLISH_TIMEOUT_MS, again: true })
  }

  async #ask(type: string, payload: unknown, options: SendOptions): Promise<Record<string, unknown>> {
    const answer = await this.#send({ type, ...(payload !== undefined && { payload }) }, options)
    return (answer.payload ?? {}) as Record<string, unknown>
  }

  #send(frame: Omit<Outgoing, 'id'>, options: SendOptions): Promise<ServerFrame> {
    return this.#outbox.send({ ...frame, id: randomId() } as Outgoing, options)
  }

  #write(frame: Outgoing): void {
    try {
      this.#connection.send(frame)
    } catch (error) {
      // Too large, or nothing that can be written down: that is for who said it, and not for the others that wait.
      this.#outbox.refuse(frame.id, error)
    }
  }

  #acknowledge(payload: object): boolean {
    if (this.state !== 'open') return false
    this.#connection.send({ type: 'ack', payload })
    return true
  }

  /** What nobody awaits: its failure is told to {@link ClientOptions.onError}. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      // Asked for again on the next connection, or nobody is there any more.
      if (error instanceof ClientError && (error.reason === 'connection_lost' || error.reason === 'closed')) return
      this.#onError(error)
    })
  }
}

function endpointOf(url: string | undefined): string {
  const base = (globalThis as { location?: { href: string } }).location?.href
  return new URL(url ?? '/realtime', base).href.replace(/^ws/, 'http').replace(/\/$/, '')
}
