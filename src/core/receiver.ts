/**
 * What happens to bytes from a client: counted, judged, decoded and handled, one frame at a time for each session and in
 * order. A frame whose handling takes its time makes the next ones wait in a bounded queue.
 */
import { connectionEnded, TidingsError } from '../protocol/errors.ts'
import type { FrameLimits } from '../protocol/frame-limits.ts'
import { type ClientFrame, isRecord, parseClientFrame, type ServerFrame } from '../protocol/frames.ts'
import { decodeJson } from '../protocol/json.ts'
import { decodeMsgpack } from '../protocol/msgpack.ts'
import { salvageId } from '../protocol/salvage.ts'
import { type Clock, toTimestamp } from './clock.ts'
import { Exchange } from './exchange.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { RateLimiter } from './rate-limit.ts'
import type { Session, SubmittedFrame, WaitingFrame } from './session.ts'

export interface ReceiverDeps {
  readonly clock: Clock
  readonly limiter: RateLimiter
  readonly frameLimits: FrameLimits
  readonly maxMessageBytes: number
  /** Bytes of frames that may wait behind one that is being handled. */
  readonly maxWaitingBytes: number
  /** Whether the server waits for any client's answer to an event. */
  readonly asking: () => boolean
  /** Handles a frame; may throw or reject. */
  readonly dispatch: (exchange: Exchange) => MaybePromise<void>
  /** Tells the client of a failure and keeps the connection. */
  readonly fail: (session: Session, error: unknown, frameId: string | undefined) => void
  /** Tells the client of a failure and ends the connection. */
  readonly end: (session: Session, error: TidingsError) => void
}

/** Milliseconds after which a client should try again whose frames wait for a slow handler. */
const FULL_RETRY_MS = 1000

/** Whether a frame answers an event of the server's. */
function isAnswer({ type, to, payload }: ClientFrame): boolean {
  return type === 'ack' && to === undefined && isRecord(payload) && payload['correlation_id'] !== undefined
}

function isSubmitted(frame: WaitingFrame): frame is SubmittedFrame {
  return typeof frame === 'object' && 'run' in frame
}

export class Receiver {
  private readonly deps: ReceiverDeps

  constructor(deps: ReceiverDeps) {
    this.deps = deps
  }

  /** Takes a frame as it came from the socket. Never throws. */
  receive(session: Session, raw: string | Uint8Array): void {
    if (session.closed) return
    const { clock, limiter, maxMessageBytes } = this.deps
    const now = clock.monotonic()
    const bytes = typeof raw === 'string' ? Buffer.byteLength(raw) : raw.byteLength
    session.lastInbound = now
    session.framesIn++
    session.bytesIn += bytes
    if (bytes > maxMessageBytes) {
      const message = `The message is too large: ${bytes} of ${maxMessageBytes} bytes`
      this.deps.end(session, new TidingsError('payload_too_large', message))
      return
    }
    const verdict = limiter.take(session, bytes, now)
    if (verdict.kind === 'close') {
      this.deps.end(session, new TidingsError('rate_limited'))
    } else if (verdict.kind === 'refuse') {
      this.refuse(session, raw, 'Too many messages', verdict.retryAfterMs)
    } else {
      if (verdict.kind === 'warn') this.warn(session, verdict.retryAfterMs)
      if (session.busy && this.deps.asking() && this.answers(session, raw)) return
      if (session.busy && session.waitingBytes + bytes > this.deps.maxWaitingBytes) {
        this.refuse(session, raw, 'Too many messages are waiting to be handled', FULL_RETRY_MS)
        return
      }
      this.enqueue(session, raw)
    }
  }

  /**
   * Takes a frame that came by another way than the session's own transport, already decoded, and handles it in its turn.
   * @param reply takes the answers.
   * @returns resolves when everything is answered; rejects with what the frame failed for.
   */
  async submit(session: Session, value: unknown, bytes: number, reply: (frame: ServerFrame) => void): Promise<void> {
    const { clock, limiter } = this.deps
    if (session.closed) throw connectionEnded()
    const now = clock.monotonic()
    session.framesIn++
    session.bytesIn += bytes
    const verdict = limiter.take(session, bytes, now)
    if (verdict.kind === 'close') {
      const error = new TidingsError('rate_limited')
      if (!session.visiting) this.deps.end(session, error)
      throw error
    }
    if (verdict.kind === 'refuse' || session.waitingBytes + bytes > this.deps.maxWaitingBytes) {
      const retryAfterMs = verdict.kind === 'refuse' ? verdict.retryAfterMs : FULL_RETRY_MS
      throw new TidingsError('rate_limited', 'Too many messages', { retryAfterMs })
    }
    if (verdict.kind === 'warn') this.warn(session, verdict.retryAfterMs)
    const frame = parseClientFrame(value)
    const exchange = new Exchange(session, frame, clock, reply)
    if (session.busy && this.deps.asking() && isAnswer(frame)) {
      await this.deps.dispatch(exchange)
      return
    }
    await new Promise<void>((resolve, reject) => {
      this.enqueue(session, { length: bytes, run: () => this.deps.dispatch(exchange), resolve, reject })
    })
    await exchange.pending
  }

  /** Makes the session's frames wait, as while it is being opened; {@link release} lets them go on. */
  hold(session: Session): void {
    session.busy = true
  }

  /** Handles what has waited, in order. */
  release(session: Session): void {
    session.busy = false
    while (!session.busy && !session.closed && session.waiting !== undefined) {
      const next = session.waiting.shift()
      if (next === undefined) break
      session.waitingBytes -= next.length
      this.handle(session, next)
    }
    if (session.closed) this.abandon(session)
    if (session.waiting?.length === 0) session.waiting = undefined
  }

  /** Gives up what has waited for a session that is gone. */
  abandon(session: Session): void {
    for (const waiting of session.waiting ?? []) {
      if (isSubmitted(waiting)) waiting.reject(connectionEnded())
    }
    session.waiting = undefined
  }

  private enqueue(session: Session, frame: WaitingFrame): void {
    if (!session.busy) {
      this.handle(session, frame)
      return
    }
    session.waiting ??= []
    session.waiting.push(frame)
    session.waitingBytes += frame.length
  }

  /**
   * Takes the answer to a server's event at once, and says whether the frame was one: behind the handler that waits for
   * it, it would come when that has given up.
   */
  private answers(session: Session, raw: string | Uint8Array): boolean {
    let frame: ClientFrame
    try {
      frame = parseClientFrame(this.decode(raw))
    } catch {
      // Whatever is wrong with it is said when its turn comes.
      return false
    }
    if (!isAnswer(frame)) return false
    try {
      const handled = this.deps.dispatch(new Exchange(session, frame, this.deps.clock))
      if (handled instanceof Promise) handled.catch((error) => this.deps.fail(session, error, frame.id))
    } catch (error) {
      this.deps.fail(session, error, frame.id)
    }
    return true
  }

  private handle(session: Session, frame: WaitingFrame): void {
    if (isSubmitted(frame)) this.handleSubmitted(session, frame)
    else this.handleRaw(session, frame)
  }

  private handleRaw(session: Session, raw: string | Uint8Array): void {
    let exchange: Exchange | undefined
    try {
      const value = this.decode(raw)
      exchange = new Exchange(session, parseClientFrame(value), this.deps.clock)
      const handled = this.deps.dispatch(exchange)
      if (handled instanceof Promise)
        this.waitFor(session, handled, (error) => this.failed(session, error, raw, exchange))
    } catch (error) {
      this.failed(session, error, raw, exchange)
    }
  }

  /** Answers a frame with what went wrong, where nothing has answered it yet. */
  private failed(session: Session, error: unknown, raw: string | Uint8Array, exchange: Exchange | undefined): void {
    if (exchange?.answered) return
    if (exchange !== undefined) exchange.answered = true
    this.deps.fail(session, error, exchange === undefined ? salvageId(raw) : exchange.frame.id)
  }

  private handleSubmitted(session: Session, { run, resolve, reject }: SubmittedFrame): void {
    try {
      const handled = run()
      if (handled instanceof Promise) this.waitFor(session, handled.then(resolve), reject)
      else resolve()
    } catch (error) {
      reject(error)
    }
  }

  private waitFor(session: Session, handled: Promise<void>, failed: (error: unknown) => void): void {
    session.busy = true
    handled.catch(failed).finally(() => this.release(session))
  }

  private decode(raw: string | Uint8Array): unknown {
    const limits = this.deps.frameLimits
    return typeof raw === 'string' ? decodeJson(raw, limits) : decodeMsgpack(raw, limits)
  }

  /** Refuses a frame undecoded: decoding whatever a flooder sends is work that the throttle is there to save. */
  private refuse(session: Session, raw: string | Uint8Array, message: string, retryAfterMs: number): void {
    this.deps.fail(session, new TidingsError('rate_limited', message, { retryAfterMs }), salvageId(raw))
  }

  private warn(session: Session, retryAfterMs: number): void {
    const timestamp = toTimestamp(this.deps.clock.now())
    session.send({ type: 'rate_limited', payload: { retry_after_ms: retryAfterMs }, timestamp })
  }
}
