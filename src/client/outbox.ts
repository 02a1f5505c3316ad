/**
 * What is sent and not answered yet, in the order of sending. Messages wait here for a connection, and those that may be
 * said twice are said again, with their ids, on the next one: the server knows the ids and answers once more.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import type { Clock } from './environment.ts'
import { ClientError } from './error.ts'

/** Unanswered frames on one connection: enough for any network's way there and back, and all that a loss leaves in doubt. */
const IN_FLIGHT = 64
/** The rest of the server's burst is for pings and acknowledgements, and for a network that brings frames in heaps. */
const SHARE_OF_BURST = 0.8
/**
 * Milliseconds after the first sending within which a frame may be sent again. The server remembers ids for two minutes by
 * default: later the same message could be delivered twice.
 */
const RESEND_WITHIN_MS = 100_000

export interface Outgoing {
  readonly type: string
  readonly id: string
  readonly payload?: unknown
  readonly to?: unknown
  readonly ephemeral?: true
}

export interface SendOptions {
  /** Milliseconds until the promise rejects with `timeout`. */
  readonly timeoutMs: number
  /** Saying it twice has one effect: it is sent again where the connection went before the answer. */
  readonly again: boolean
}

interface Entry {
  readonly frame: Outgoing
  readonly again: boolean
  readonly resolve: (answer: ServerFrame) => void
  readonly reject: (error: unknown) => void
  timer: unknown
  /** Sent on the present connection, and not answered. */
  inFlight: boolean
  firstSentAt: number | undefined
}

export class Outbox {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #maxQueued: number
  #write: ((frame: Outgoing) => void) | undefined
  #inFlight = 0
  #pausedUntil = 0
  /** Milliseconds from one frame to the next at the server's rate; 0: it has none. */
  #spacing = 0
  /** Milliseconds by which frames may go out before their time. */
  #ahead = 0
  /** When the next frame is due at the server's rate. */
  #booked = 0
  #held = false
  #pauseTimer: unknown

  /** @param maxQueued messages that may wait, sent and unsent together. */
  constructor(clock: Clock, maxQueued: number) {
    this.#clock = clock
    this.#maxQueued = maxQueued
  }

  /** Frames that were sent and that a change of connection would lose. */
  get fragile(): boolean {
    for (const entry of this.#entries.values()) if (entry.inFlight && !entry.again) return true
    return false
  }

  send(frame: Outgoing, options: SendOptions): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      if (this.#entries.size >= this.#maxQueued) {
        reject(new ClientError('queue_full', `${this.#maxQueued} messages wait already`))
        return
      }
      const entry: Entry = {
        frame,
        again: options.again,
        resolve,
        reject,
        timer: this.#clock.set(() => {
          const message = `No answer to ${frame.type} in ${options.timeoutMs} ms`
          this.#fail(entry, new ClientError('timeout', message, { maybeDone: entry.firstSentAt !== undefined }))
        }, options.timeoutMs),
        inFlight: false,
        firstSentAt: undefined,
      }
      this.#entries.set(frame.id, entry)
      this.#flush()
    })
  }

  /**
   * There is a connection: everything that waits goes out, as fast as the server takes it. What it refused for being too
   * fast would come after what was sent behind it.
   * @param limits as the server announced them.
   */
  attach(
    write: (frame: Outgoing) => void,
    { messages_per_second: rate = 0, burst = 1 }: Readonly<Record<string, number>> = {},
  ): void {
    this.#write = write
    this.#held = false
    this.#spacing = rate && 1000 / rate
    this.#ahead = this.#spacing * (burst - 1) * SHARE_OF_BURST
    this.#booked = 0
    this.#pausedUntil = 0
    this.#flush()
  }

  /** The connection is gone. What was sent and may not be said twice has an unknown end. */
  detach(): void {
    this.#write = undefined
    this.#inFlight = 0
    const now = this.#clock.now()
    for (const entry of [...this.#entries.values()]) {
      if (!entry.inFlight) continue
      entry.inFlight = false
      if (entry.again && now - (entry.firstSentAt ?? now) < RESEND_WITHIN_MS) continue
      const message = `Lost before ${entry.frame.type} was answered`
      this.#fail(entry, new ClientError('connection_lost', message, { maybeDone: true }))
    }
  }

  /** An answer came. @returns the type of the frame that it answers, `undefined` where nothing waits for it. */
  settle(answer: ServerFrame): string | undefined {
    const entry = this.#entries.get(answer.correlation_id ?? '')
    if (entry === undefined) return undefined
    if (answer.type !== 'error') {
      this.#remove(entry)
      entry.resolve(answer)
    } else {
      const error = ClientError.read(answer.payload) ?? new ClientError('bad_frame', 'No reason')
      // Refused before anything was done with it, and when to try again is known: only that is worth waiting for.
      if (error.reason === 'rate_limited' && error.retryAfterMs !== undefined) {
        entry.inFlight = false
        this.#inFlight--
        this.pause(error.retryAfterMs)
        this.#booked = this.#pausedUntil + this.#ahead
      } else this.#fail(entry, error)
    }
    this.#flush()
    return entry.frame.type
  }

  /** The frame cannot be sent at all. */
  refuse(id: string, error: unknown): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#fail(entry, error)
  }

  /** Nothing is sent for so many milliseconds: the server is about to throttle. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.now() + ms)
    this.#clock.clear(this.#pauseTimer)
    this.#pauseTimer = this.#clock.set(() => {
      // Timers leave fractions of a millisecond out, and may be that much early.
      this.#pausedUntil = 0
      this.#flush()
    }, this.#pausedUntil - this.#clock.now())
  }

  /** Nothing is sent until the next {@link attach} or {@link release}: the connection is about to change. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    this.#flush()
  }

  /** Everything that waits ends with this error. */
  failAll(error: ClientError): void {
    for (const entry of [...this.#entries.values()]) this.#fail(entry, error)
  }

  /** Ends what was sent on this connection and is not answered: the server cannot take it. */
  failInFlight(error: ClientError): void {
    for (const entry of [...this.#entries.values()]) if (entry.inFlight) this.#fail(entry, error)
  }

  #flush(): void {
    const now = this.#clock.now()
    if (this.#held || now < this.#pausedUntil) return
    for (const entry of this.#entries.values()) {
      if (this.#write === undefined || this.#inFlight >= IN_FLIGHT) return
      if (entry.inFlight) continue
      const wait = this.#booked - this.#ahead - now
      if (wait > 0) {
        this.pause(wait)
        return
      }
      this.#booked = Math.max(this.#booked, now) + this.#spacing
      entry.inFlight = true
      entry.firstSentAt ??= now
      this.#inFlight++
      this.#write(entry.frame)
    }
  }

  #fail(entry: Entry, error: unknown): void {
    this.#remove(entry)
    entry.reject(error)
  }

  #remove(entry: Entry): void {
    this.#clock.clear(entry.timer)
    this.#entries.delete(entry.frame.id)
    if (entry.inFlight) this.#inFlight--
    entry.inFlight = false
  }
}
