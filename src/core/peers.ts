/**
 * Questions that one instance asks another, such as to end a connection that the other has. Each kind has one who answers
 * it. A deployment of one process has no peers, and nothing is ever asked.
 */
import { TidingsError } from '../protocol/errors.ts'
import { encodeJson } from '../protocol/json.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Bus } from './ports/bus.ts'

/** Milliseconds after which an instance that has not answered is taken not to be able to: it may be busy, but not so long. */
export const SILENCE_MS = 1000

/** Milliseconds after which it is worth asking again where an instance did not answer: by then it was swept, or is back. */
export const UNANSWERED_RETRY_MS = 5000

/** @param body what was asked, parsed and not checked: anybody who can publish to Redis may have written it. */
export type Answering = (body: Readonly<Record<string, unknown>>, from: string) => MaybePromise<unknown>

export class Peers {
  private readonly bus: Bus | undefined
  private readonly answering = new Map<string, Answering>()

  constructor(bus: Bus | undefined) {
    this.bus = bus
    bus?.onQuestion(async ({ kind, body }, from) => {
      const answer = this.answering.get(kind)
      if (answer === undefined) throw new TidingsError('not_found', 'This instance does not know the question')
      return encodeJson((await answer(readBody(body), from)) ?? null)
    })
  }

  /** This instance's name; absent: it is the only one. */
  get here(): string | undefined {
    return this.bus?.instance
  }

  /** Whether a connection or an answer is another instance's. */
  isElsewhere(instance: string): boolean {
    return this.bus !== undefined && instance !== this.bus.instance
  }

  /** Names who answers a kind of question. Once for each. */
  answer(kind: string, answering: Answering): void {
    this.answering.set(kind, answering)
  }

  /**
   * Asks another instance. The answer is parsed and not checked.
   * @throws TidingsError (rejected) `unavailable`: it does not answer; or what it has thrown.
   */
  async ask(instance: string, kind: string, body: unknown, timeoutMs = SILENCE_MS): Promise<unknown> {
    if (this.bus === undefined) throw new TidingsError('unavailable', 'There is no other instance')
    return JSON.parse(await this.bus.ask(instance, { kind, body: encodeJson(body) }, timeoutMs))
  }

  /** Tells another instance something, if it is there to hear it. */
  tell(instance: string, kind: string, body: unknown): void {
    this.ask(instance, kind, body).catch(() => {})
  }
}

function readBody(body: string): Record<string, unknown> {
  const value: unknown = JSON.parse(body)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TidingsError('invalid_message')
  return value as Record<string, unknown>
}
