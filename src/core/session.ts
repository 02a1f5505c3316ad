/**
 * A connected device: who it is, what it is subscribed to, how it is doing. It knows no transport and no rule; it holds
 * what the rules are applied to. There are tens of thousands, so fields are plain and made when first needed.
 */
import type { Encoded, Encoding } from '../protocol/encoding.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import { Fetching } from './fetching.ts'
import type { Gate } from './gate.ts'
import type { Identity } from './identity.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Message } from './message.ts'
import type { RateState } from './rate-limit.ts'
import type { Member, Subscription, Topic } from './topic.ts'
import type { Wire } from './wire.ts'

export type SessionState = 'connecting' | 'open' | 'draining' | 'closed'

/** What a transport knows of a client before it has a session. */
export interface SessionInit {
  readonly connectionId: string
  readonly identity: Identity
  readonly deviceId: string
  readonly encoding: Encoding
  readonly ip: string
  /** What limits per address count by: the address itself, or its network. */
  readonly addressKey: string
  readonly userAgent: string | undefined
  /** Whether only an explicit `ack` acknowledges. */
  readonly explicitAck: boolean
  /** Whether the device outlives this connection: only then the log remembers how far it has come. */
  readonly durableDevice: boolean
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  /** Monotonic milliseconds. */
  readonly since: number
}

/** A frame that waits its turn: as it came from the socket, or on behalf of an HTTP request. */
export type WaitingFrame = string | Uint8Array | SubmittedFrame

export interface SubmittedFrame {
  /** Bytes, for the bound on what waits. */
  readonly length: number
  readonly run: () => MaybePromise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Session implements Member {
  readonly connectionId: string
  readonly userId: string
  readonly deviceId: string
  readonly encoding: Encoding
  readonly wire: Wire
  readonly ip: string
  readonly addressKey: string
  readonly userAgent: string | undefined
  readonly explicitAck: boolean
  readonly durableDevice: boolean
  readonly connectedAt: number
  /** Replaced by `refresh_token`. */
  identity: Identity
  state: SessionState = 'connecting'
  /** Monotonic milliseconds of the last sign of life: the clock that decides about dead peers. */
  lastInbound: number
  /** Monotonic milliseconds of the last ping that went out. */
  lastPing: number
  /** The topics of the rooms joined. */
  subscriptions: Subscription[] = []
  /** Whether it is in the native topic of its user, which exists where the user has more than one connection. */
  sharesUser = false
  /** The same of its device. */
  sharesDevice = false
  /** Whether this process is told of its user's messages for it. */
  hearsUser = false
  metadata: Record<string, unknown> | undefined
  framesIn = 0
  bytesIn = 0
  /** Frames sent to this session alone, less those of its topics that it published itself. */
  framesOut = 0
  rate: RateState | undefined
  /** Stands while the session catches up with the log: nothing live passes it. */
  gate: Gate | undefined
  /** What a session has whose client fetches what it receives. */
  readonly fetching: Fetching | undefined
  /** Whether the client pings by itself: then its silence says something. */
  pings = false
  /** The last stored publish under way: the session's next answer comes after it. */
  storing: Promise<unknown> | undefined
  /** Whether a frame is being handled: the next waits in `waiting`. */
  busy = false
  waiting: WaitingFrame[] | undefined
  /** Answers that are sent with the others of this turn. */
  private unsent: Encoded[] | undefined
  waitingBytes = 0
  /** Monotonic milliseconds at which the credentials end. */
  expiresAt: number | undefined
  /** The position last said to the client with a heartbeat. */
  toldPosition = 0
  /** Whether `token_expiring` was said for the present token. */
  expiryWarned = false

  constructor(init: SessionInit, wire: Wire) {
    this.connectionId = init.connectionId
    this.userId = init.identity.userId
    this.deviceId = init.deviceId
    this.identity = init.identity
    this.encoding = init.encoding
    this.wire = wire
    this.fetching = wire.wake === undefined ? undefined : new Fetching()
    this.ip = init.ip
    this.addressKey = init.addressKey
    this.userAgent = init.userAgent
    this.explicitAck = init.explicitAck
    this.durableDevice = init.durableDevice
    this.connectedAt = init.connectedAt
    this.lastInbound = init.since
    this.lastPing = init.since
    this.metadata = init.identity.meta && { ...init.identity.meta }
  }

  /** Whether it is subscribed to native topics: not while it catches up. */
  get native(): boolean {
    return this.wire.native && this.gate === undefined
  }

  /** Whether silence means that the client is gone. */
  get owesSigns(): boolean {
    const { silence } = this.wire
    return silence === 'dead' || (silence === 'allowed' && this.pings)
  }

  /** Whether it stands for somebody who sends a frame without being connected. */
  get visiting(): boolean {
    return this.wire.transport === 'none'
  }

  get closed(): boolean {
    return this.state === 'closed'
  }

  /** Sends a frame to this client alone. In order with everything that was published before. */
  send(frame: ServerFrame): void {
    if (this.state === 'closed') return
    this.flush()
    this.framesOut++
    this.wire.send(this.encoding.encode(frame))
  }

  /**
   * Keeps a frame until {@link flush}, or until something else is sent to this client alone.
   * @returns whether it is the first: then somebody has to call {@link flush}.
   */
  sendLater(frame: ServerFrame): boolean {
    if (this.state === 'closed') return false
    this.framesOut++
    const data = this.encoding.encode(frame)
    if (this.unsent !== undefined) {
      this.unsent.push(data)
      return false
    }
    this.unsent = [data]
    return true
  }

  /** Sends what was kept. */
  flush(): void {
    const { unsent } = this
    if (unsent === undefined) return
    this.unsent = undefined
    if (this.state === 'closed') return
    const [only] = unsent
    if (unsent.length === 1 && only !== undefined) this.wire.send(only)
    else this.wire.sendAll(unsent)
  }

  /** Hands over a message that others receive too. */
  deliver(message: Message): void {
    // Before `welcome` nothing may come; what is stored meanwhile is read from the log after it.
    if (this.state === 'closed' || this.state === 'connecting') return
    if (this.fetching !== undefined && message.cursor !== undefined) {
      this.wire.wake?.(message.cursor)
      return
    }
    if (this.gate !== undefined) {
      this.gate.hold(message)
      return
    }
    this.flush()
    this.framesOut++
    this.wire.send(message.encode(this.encoding))
  }

  /** Hands over several messages in few writes, past the gate: for who reads to this session from the log. */
  deliverAll(messages: readonly Message[]): void {
    if (this.state === 'closed' || messages.length === 0) return
    this.flush()
    this.framesOut += messages.length
    this.wire.sendAll(messages.map((message) => message.encode(this.encoding)))
  }

  /** It has published a stored message itself, and gets no copy. */
  published(cursor: number): void {
    this.fetching?.skip(cursor)
  }

  subscriptionTo(topic: Topic): Subscription | undefined {
    for (const subscription of this.subscriptions) if (subscription.topic === topic) return subscription
    return undefined
  }

  /** Names of the rooms joined, in the order of joining. */
  get rooms(): string[] {
    return this.subscriptions.flatMap(({ topic }) => (topic.room === undefined ? [] : [topic.room]))
  }

  /** Frames that this client was sent, including those published to its topics. */
  get framesSent(): number {
    return this.subscriptions.reduce((sum, { topic, from }) => sum + topic.published - from, this.framesOut)
  }
}
