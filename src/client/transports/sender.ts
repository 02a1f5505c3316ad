/**
 * Frames by POST, for links that only receive. One request at a time, so that frames arrive in the order of sending; what
 * is said while one is under way goes together in the next.
 */
import type { ServerFrame } from '../../protocol/frames.ts'
import { jsonCodec } from '../codec.ts'
import type { Environment } from '../environment.ts'
import { ClientError } from '../error.ts'
import { failureOf, headersOf, refusalOf } from './refusal.ts'
import { checkSize, type End, type Target } from './transport.ts'

/** Frames in one request at most: the server takes a body of 16 times the largest frame, and there are commas too. */
const BATCH = 15
/** Families of errors that say something of the frames, and nothing of the session. */
const PER_FRAME = new Set(['RT_004', 'RT_006', 'RT_008'])
/** A POST is answered at once, but for handlers that take their time: after this long nobody will answer. */
const ANSWER_WITHIN_MS = 30_000

export interface SenderEvents {
  answer(frame: ServerFrame): void
  /** The session cannot go on. Means nothing after `stop()`. */
  failed(end: End): void
}

interface Waiting {
  readonly text: string
  readonly id: string | undefined
}

export class Sender {
  readonly #environment: Environment
  readonly #target: Target
  readonly #events: SenderEvents
  #request = new AbortController()
  #waiting: Waiting[] = []
  /** Until nothing waits. */
  #draining: Promise<void> | undefined

  constructor(environment: Environment, target: Target, events: SenderEvents) {
    this.#environment = environment
    this.#target = target
    this.#events = events
  }

  /** @throws ClientError `payload_too_large`. */
  send(frame: object, connectionId: string | undefined, maxBytes: number | undefined): void {
    const text = jsonCodec.encode({ connection_id: connectionId, ...frame }) as string
    checkSize(text, maxBytes)
    this.#waiting.push({ text, id: (frame as { id?: string }).id })
    // Whatever else is said in this turn goes along.
    this.#draining ??= Promise.resolve().then(() => this.#drain())
  }

  /** Says what waits and wants no answer, such as the last acknowledgement; the rest is for the next connection. */
  async finish(): Promise<void> {
    this.#waiting = this.#waiting.filter(({ id }) => id === undefined)
    this.#request.abort()
    if (this.#waiting.length > 0) await this.#draining
  }

  stop(): void {
    this.#waiting = []
    this.#request.abort()
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#post(this.#waiting.splice(0, BATCH))
    this.#draining = undefined
  }

  async #post(batch: readonly Waiting[]): Promise<void> {
    const { clock, fetch } = this.#environment
    const request = new AbortController()
    this.#request = request
    const timer = clock.set(() => request.abort(new Error('no answer in time')), ANSWER_WITHIN_MS)
    try {
      const response = await fetch(`${this.#target.url}/send`, {
        method: 'POST',
        headers: { ...headersOf(this.#target.token()), 'content-type': 'application/json' },
        body: `[${batch.map(({ text }) => text).join()}]`,
        signal: request.signal,
      })
      if (response.ok) this.#answers(jsonCodec.decode(await response.text()))
      else this.#refused(batch, await refusalOf(response))
    } catch (cause) {
      this.#events.failed(failureOf('lost', cause))
    } finally {
      clock.clear(timer)
    }
  }

  /** A list for a list, in it the history of a join too. */
  #answers(body: unknown): void {
    for (const frame of [body].flat(2) as (ServerFrame | null)[]) {
      if (frame?.type === undefined) continue
      const error = frame.type === 'error' ? ClientError.read(frame.payload) : undefined
      // The session is gone, and only the stream has not shown it yet: what was said is said again to the next one.
      if (error?.reason === 'not_found' && error.details?.['field'] === 'connection_id') {
        this.#events.failed(failureOf('lost', error))
      } else this.#events.answer(frame)
    }
  }

  /** A refusal of the whole batch is one of each frame in it, but where it concerns the session. */
  #refused(batch: readonly Waiting[], end: End): void {
    const { kind, error, body } = end
    if (kind !== 'refused' || !PER_FRAME.has(error?.code ?? '')) {
      this.#events.failed(kind === 'refused' ? end : { kind: 'lost', error })
      return
    }
    for (const { id } of batch) {
      if (id !== undefined) this.#events.answer({ type: 'error', payload: body, correlation_id: id, timestamp: 0 })
    }
  }
}
