/**
 * Keeps one link to the server: opens it, notices its end, waits and comes back as the server advises, and moves up to a
 * better transport. What frames mean is for others.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import { backoff } from './backoff.ts'
import { Climb } from './climb.ts'
import type { Codec } from './codec.ts'
import type { Environment } from './environment.ts'
import { ClientError } from './error.ts'
import { Ladder, type TransportName } from './ladder.ts'
import { Liveness } from './liveness.ts'
import type { Tokens } from './token.ts'
import { openPoll } from './transports/poll.ts'
import { openSse } from './transports/sse.ts'
import type { End, Link, LinkEvents, OpenLink } from './transports/transport.ts'
import { openWebSocket } from './transports/websocket.ts'
import type { Welcome } from './types.ts'

/** Milliseconds within which a transport must have brought the `welcome`. */
const CONNECT_WITHIN_MS = 10_000
/** A connection that lived this long was a success: the next failure counts as the first. */
const STABLE_MS = 5000

/**
 * `connecting`: an attempt is under way. `open`: frames flow. `waiting`: the next attempt comes by itself. `suspended`: the
 * server said that coming back does not help; `connect()` tries all the same. `closed`: before `connect()` and after
 * `close()`.
 */
export type State = 'connecting' | 'open' | 'waiting' | 'suspended' | 'closed'

export interface StateChange {
  readonly state: State
  /** In `open`: over what. */
  readonly transport?: TransportName
  /** In `waiting` and `suspended`: why. */
  readonly error?: ClientError
  /** In `waiting`: milliseconds until the next attempt. */
  readonly retryInMs?: number
}

export interface ConnectionOptions {
  readonly url: string
  readonly transports: readonly TransportName[]
  readonly codec: Codec
  readonly tokens: Tokens
  readonly environment: Environment
}

export interface ConnectionEvents {
  /** What to say at the door. Asked for each attempt. */
  query(): Record<string, string>
  /** A session is there, new or resumed; before the state is `open`. */
  welcome(welcome: Welcome, frame: ServerFrame): void
  /** @param inStream whether the frame keeps the order of the stream. */
  frame(frame: ServerFrame, inStream: boolean): void
  position(cursor: string): void
  /**
   * There is no link any more, and with it went what was under way.
   * @param code the close code of a WebSocket.
   */
  lost(code: number | undefined): void
  state(change: StateChange): void
  error(error: ClientError): void
  /** The link is about to change by choice: hold what is sent until `welcome` or `stayed`. @returns false to wait. */
  leaving(): boolean
  stayed(): void
}

export class Connection {
  readonly #options: ConnectionOptions
  readonly #events: ConnectionEvents
  readonly #ladder: Ladder
  readonly #climb: Climb
  #current: StateChange = { state: 'closed' }
  #link: Link | undefined
  /** A link that has not been welcomed yet. */
  #opening: Link | undefined
  #liveness: Liveness | undefined
  /** Grows with every attempt and end: what is still on its way from an earlier one is ignored. */
  #turn = 0
  #failures = 0
  #openedAt = 0
  #retryTimer: unknown
  #connectTimer: unknown
  /** The server said when to come back: nothing hurries that. */
  #told = false
  #comeBackAfterMs: number | undefined

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options
    this.#events = events
    const { WebSocket } = options.environment
    this.#ladder = new Ladder(options.transports.filter((name) => name !== 'websocket' || WebSocket !== undefined))
    this.#climb = new Climb(options.environment, options.url, { move: () => this.#move() })
  }

  get state(): State {
    return this.#current.state
  }

  get transport(): TransportName | undefined {
    return this.#link?.name
  }

  /** Connects, or tries again at once. */
  connect(): void {
    if (this.state === 'open' || this.state === 'connecting') return
    void this.#attempt()
  }

  close(): void {
    this.#turn++
    this.#drop()
    this.#become({ state: 'closed' })
  }

  /** Sends on the present link; does nothing without one. @throws ClientError `payload_too_large`. */
  send(frame: object): void {
    this.#link?.send(frame)
  }

  /** A good moment to connect, or to see whether the connection still lives. */
  wake(): void {
    if (this.state === 'waiting' && !this.#told) void this.#attempt()
    else if (this.state === 'open') this.#liveness?.wake()
  }

  /** Another network: what did not get through before may do so now. */
  online(): void {
    if (this.state !== 'open') this.#ladder.reset()
  }

  /** The server drains: when its end comes, come back after so long. */
  comeBackAfter(ms: number | undefined): void {
    this.#comeBackAfterMs = ms
  }

  async #attempt(): Promise<void> {
    const turn = ++this.#turn
    this.#drop()
    this.#become({ state: 'connecting' })
    try {
      await this.#options.tokens.get()
      if (turn === this.#turn) this.#tryTransports(this.#ladder.order())
    } catch (error) {
      if (turn === this.#turn) this.#ended({ kind: 'unreachable', error: error as ClientError })
    }
  }

  /** @param blocked the end of the last transport that did not work. */
  #tryTransports([name, ...others]: readonly TransportName[], blocked?: End): void {
    if (name === undefined) {
      this.#ladder.reset()
      this.#ended(blocked ?? { kind: 'blocked', error: new ClientError('unreachable', 'No transport works here') })
    } else {
      this.#open(name, (end) => {
        if (end.kind === 'blocked') this.#tryTransports(others, end)
        else this.#ended(end)
      })
    }
  }

  /** @param failed called where the link ends before the welcome. */
  #open(name: TransportName, failed: (end: End) => void): void {
    const { url, codec, environment, tokens } = this.#options
    const turn = this.#turn
    const fail = (end: End): void => {
      environment.clock.clear(this.#connectTimer)
      this.#opening = undefined
      if (turn === this.#turn) failed(end)
    }
    const events: LinkEvents = {
      frame: (frame) => {
        if (frame.type === 'welcome' && link !== undefined) this.#welcomed(link, frame)
        // The server's word to the link whose session has just moved on is no news.
        else if (link === this.#link && !(this.#opening && frame.type === 'error')) this.#events.frame(frame, true)
      },
      answer: (frame) => link === this.#link && this.#events.frame(frame, false),
      position: (cursor) => link === this.#link && this.#events.position(cursor),
      bad: (cause) => this.#events.error(new ClientError('bad_frame', 'Not a frame', { cause })),
      alive: () => link === this.#link && this.#liveness?.seen(),
      ended: (end) => {
        if (link === this.#link) this.#ended(end)
        else if (link === this.#opening) fail(end)
      },
    }
    const target = { url, token: () => tokens.current, query: this.#events.query(), codec }
    let link: Link | undefined
    try {
      link = OPEN[name](environment, target, events)
    } catch (cause) {
      failed({ kind: 'blocked', error: new ClientError('unreachable', `Cannot open ${name}: ${cause}`, { cause }) })
      return
    }
    this.#opening = link
    this.#connectTimer = environment.clock.set(() => {
      link?.close()
      fail({ kind: 'blocked', error: new ClientError('timeout', `No welcome over ${name} in time`) })
    }, CONNECT_WITHIN_MS)
  }

  #welcomed(link: Link, frame: ServerFrame): void {
    if (link !== this.#opening && link !== this.#link) return
    // A second welcome, on a better link or on a poll whose session had ended, is the end of the session before it.
    if (this.#link !== undefined) this.#drop(undefined, link)
    const { clock } = this.#options.environment
    const welcome = frame.payload as Welcome
    clock.clear(this.#connectTimer)
    this.#opening = undefined
    this.#link = link
    link.connectionId = welcome.connection_id
    link.maxBytes = welcome.limits['max_message_bytes']
    this.#liveness = new Liveness(clock, link.heartbeat ?? welcome.heartbeat, {
      ping: link.needsPing ? () => link.send({ type: 'ping' }) : undefined,
      dead: () => {
        link.close()
        this.#ended({ kind: 'lost', error: new ClientError('unreachable', 'The server is silent') })
      },
    })
    this.#openedAt = clock.now()
    this.#comeBackAfterMs = undefined
    this.#options.tokens.accepted()
    this.#ladder.worked(link.name)
    if (this.#ladder.above() === 'websocket') this.#climb.wait()
    else this.#climb.arrived()
    this.#events.welcome(welcome, frame)
    // A listener of the welcome may have closed the client.
    if (this.#link === link) this.#become({ state: 'open', transport: link.name })
  }

  /** A transport above this one works: open it beside, with the session to take over. */
  #move(): boolean {
    if (this.state !== 'open' || !this.#events.leaving()) return false
    const turn = this.#turn
    const stay = (): void => {
      if (turn !== this.#turn) return
      this.#events.stayed()
      this.#climb.wait()
    }
    void this.#options.tokens.get().then(() => {
      if (turn !== this.#turn) return
      this.#open('websocket', (end) => (this.#link === undefined ? this.#ended(end) : stay()))
    }, stay)
    return true
  }

  #ended(end: End): void {
    const opening = this.#opening
    if (this.#link !== undefined && opening !== undefined) {
      // As a rule because the server has given the session to the new link, which will say so in a moment.
      this.#drop(end.code, opening)
      this.#opening = opening
      this.#become({ state: 'connecting' })
      return
    }
    const { clock, random } = this.#options.environment
    const lived = this.#link !== undefined && clock.now() - this.#openedAt >= STABLE_MS
    this.#turn++
    this.#drop(end.code)
    this.#failures = lived ? 1 : this.#failures + 1
    const error = end.error ?? new ClientError('unreachable', 'The connection ended')
    const isOfToken = error.code === 'RT_002' || end.code === 4001
    if (isOfToken && this.#options.tokens.retire()) void this.#attempt()
    else if (error.reconnect && !isOfToken) this.#retry(error, backoff(this.#failures, random))
    else this.#become({ state: 'suspended', error })
  }

  #retry(error: ClientError, jitter: number): void {
    // The server has drawn the time of each client from its window already: another draw would only blur it.
    const retryInMs = this.#comeBackAfterMs ?? (error.retryAfterMs ?? 0) + jitter
    this.#told = this.#comeBackAfterMs !== undefined || error.retryAfterMs !== undefined
    this.#comeBackAfterMs = undefined
    this.#retryTimer = this.#options.environment.clock.set(() => void this.#attempt(), retryInMs)
    this.#become({ state: 'waiting', error, retryInMs })
  }

  /** @param keep a link that stays open. */
  #drop(code?: number, keep?: Link): void {
    const { clock } = this.#options.environment
    const links = [this.#link, this.#opening]
    this.#link = undefined
    this.#opening = undefined
    this.#liveness?.stop()
    this.#climb.stop()
    clock.clear(this.#retryTimer)
    if (keep === undefined) clock.clear(this.#connectTimer)
    for (const link of links) if (link !== keep) link?.close()
    this.#events.lost(code)
  }

  #become(change: StateChange): void {
    this.#current = change
    this.#events.state(change)
  }
}

const OPEN: Readonly<Record<TransportName, OpenLink>> = { websocket: openWebSocket, sse: openSse, poll: openPoll }
