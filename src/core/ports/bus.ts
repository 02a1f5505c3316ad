/**
 * What goes between the instances of a deployment and is stored nowhere: messages for who is connected now, comings and
 * goings, and questions that one instance asks another. A deployment of one process has no bus.
 */
import type { MaybePromise } from '../maybe-promise.ts'

/** Something that is told to other instances. */
export interface BusMessage {
  /** What it is, in the core's words; at most 32 of `A-Z a-z 0-9 _ -`. */
  readonly kind: string
  /** Opaque to the bus. */
  readonly body: string
  /** The only device of a user's that it is for. */
  readonly device?: string | undefined
  /** The connection that it came from. */
  readonly origin?: string | undefined
}

/** Called with what other instances publish, in the order of each publisher. What it throws is logged, no more. */
export type BusListener = (topic: string, message: BusMessage, from: string) => void

/** Answers a question of another instance. What it throws is told to the one who asked, as it would be to a client. */
export type BusAnswer = (question: BusMessage, from: string) => MaybePromise<string>

export interface Bus {
  /** This instance's name. Another one after each start. */
  readonly instance: string

  /** Names who hears what is published. MUST be called once. */
  onMessage(listener: BusListener): void

  /**
   * Tells the other instances that want a topic (see `MessageLog.interest`; every instance wants `all`). Not this one.
   * Never waits and never throws: it is told at most once, and not at all where the bus is down or full. What was stored
   * goes by the log instead.
   */
  publish(topic: string, message: BusMessage): void

  /** Names who answers questions. MUST be called once. */
  onQuestion(answer: BusAnswer): void

  /**
   * Asks one other instance.
   * @throws TidingsError (rejected) `unavailable`: it has not answered within `timeoutMs`, because it is gone, or busy; or
   * what its answer threw.
   */
  ask(instance: string, question: BusMessage, timeoutMs: number): Promise<string>
}
