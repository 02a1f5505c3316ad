/** One frame of a client and the answer to it. Where the answer goes is the transport's: a socket or an HTTP body. */
import type { ErrorBody, TidingsError } from '../protocol/errors.ts'
import type { ClientFrame, ServerFrame } from '../protocol/frames.ts'
import type { AckBatches } from './ack-batches.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Message } from './message.ts'
import type { Session } from './session.ts'

export class Exchange {
  readonly session: Session
  readonly frame: ClientFrame
  /** Whether it was answered, also by an error: a frame has one answer, and what comes later is dropped. */
  answered = false
  /** What is still to be answered when the session goes on with its next frame. */
  pending: Promise<void> | undefined
  private readonly clock: Clock
  private readonly reply: ((frame: ServerFrame) => void) | undefined

  /** @param reply takes the answers; without it they go to the session. */
  constructor(session: Session, frame: ClientFrame, clock: Clock, reply?: (frame: ServerFrame) => void) {
    this.session = session
    this.frame = frame
    this.clock = clock
    this.reply = reply
  }

  /** Whether the answers, failures too, go to somebody else than the session: the body of an HTTP request. */
  get answeredElsewhere(): boolean {
    return this.reply !== undefined
  }

  /** Whether the client hears of an `ack`: a frame without an id has asked for none and gets none, but in an HTTP body. */
  get isAwaited(): boolean {
    return this.frame.id !== undefined || this.answeredElsewhere
  }

  /** Sends any frame as part of the answer. */
  send(frame: ServerFrame): void {
    if (this.reply === undefined) this.session.send(frame)
    else this.reply(frame)
  }

  /** Sends stored messages as part of the answer. */
  replay(messages: readonly Message[]): void {
    if (this.reply === undefined) this.session.deliverAll(messages)
    else for (const message of messages) this.reply(message.frame)
  }

  /** Answers with a frame of this type. */
  answer(type: string, payload: unknown): void {
    if (this.answered || (type === 'ack' && !this.isAwaited)) return
    const timestamp = toTimestamp(this.clock.now())
    this.send({ type, payload, timestamp, correlation_id: this.frame.id })
    // Not before: what no frame can carry has answered nothing.
    this.answered = true
  }

  ack(payload: unknown): void {
    this.answer('ack', payload)
  }

  /** Acknowledges with the other answers of this turn: for what many are acknowledged for at once. */
  ackWith(acks: AckBatches, payload: unknown): void {
    if (this.reply !== undefined) {
      this.ack(payload)
      return
    }
    const { id } = this.frame
    if (this.answered || id === undefined) return
    const timestamp = toTimestamp(this.clock.now())
    acks.send(this.session, { type: 'ack', payload, timestamp, correlation_id: id })
    this.answered = true
  }
}

/** The `error` frame for a failure that keeps the connection, or comes right before the close that ends it. */
export function errorFrame(error: TidingsError, correlationId: string, clock: Clock): ServerFrame {
  const payload: ErrorBody = error.toBody()
  return { type: 'error', payload, timestamp: toTimestamp(clock.now()), correlation_id: correlationId }
}
