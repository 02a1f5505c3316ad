/**
 * Work that one instance does for another and that may take long, such as to hold a poll. It is accepted at once, so that
 * silence shows that nobody is there; its result comes when it is done, and it can be called off.
 */
import { ERRORS, type ErrorName, TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import { type Peers, SILENCE_MS } from './peers.ts'

/**
 * Does the work.
 * @param body what was asked, parsed and not checked.
 * @param signal aborted when nobody wants the result any more.
 */
export type Work = (body: Readonly<Record<string, unknown>>, signal: AbortSignal) => Promise<unknown>

/** What is asked of an instance. */
export interface Errand {
  readonly kind: string
  readonly body: unknown
  /** Milliseconds that the work itself may take. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** The instance has not accepted an errand: it is dead, or busy beyond use. */
export class NobodyThere extends Error {
  override readonly name = 'NobodyThere'
}

const ACCEPT = 'errand'
const RESULT = 'errand_result'
const CALL_OFF = 'errand_off'

interface Open {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

export class Errands {
  private readonly peers: Peers
  private readonly works = new Map<string, Work>()
  /** What others do for this instance. */
  private readonly open = new Map<string, Open>()
  /** What this instance does for others. */
  private readonly running = new Map<string, AbortController>()
  private counter = 0

  constructor(peers: Peers) {
    this.peers = peers
    peers.answer(ACCEPT, ({ id, kind, body }, from) => this.accept(id, kind, body, from))
    peers.answer(RESULT, (answer) => this.done(answer))
    peers.answer(CALL_OFF, ({ id }, from) => this.running.get(`${from} ${id}`)?.abort())
  }

  /** Names who does a kind of work. Once for each. */
  does(kind: string, work: Work): void {
    this.works.set(kind, work)
  }

  /**
   * Has another instance do something.
   * @throws NobodyThere (rejected) where it has not been accepted; TidingsError: what the work threw, or `unavailable`:
   * the result has not come in time, or is not wanted any more.
   */
  async send(instance: string, { kind, body, timeoutMs, signal }: Errand): Promise<unknown> {
    const id = `${++this.counter}`
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    promise.catch(() => {})
    this.open.set(id, { resolve, reject })
    const giveUp = (reason: string) => {
      this.peers.tell(instance, CALL_OFF, { id })
      reject(new TidingsError('unavailable', reason))
    }
    const leave = () => giveUp('The client has left')
    const timer = setTimeout(() => giveUp('Another instance does not answer'), timeoutMs + SILENCE_MS)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      const accepted = await this.peers.ask(instance, ACCEPT, { id, kind, body }).catch(() => false)
      if (accepted !== true) throw new NobodyThere(`${instance} has not accepted ${kind}`)
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      this.open.delete(id)
    }
  }

  private accept(id: unknown, kind: unknown, body: unknown, from: string): boolean {
    const work = typeof kind === 'string' ? this.works.get(kind) : undefined
    if (work === undefined || !isRecord(body)) return false
    const name = `${from} ${id}`
    const controller = new AbortController()
    this.running.set(name, controller)
    // Not in this turn: what is done at once would be told before it is accepted.
    setImmediate(async () => {
      try {
        const result = await work(body, controller.signal)
        this.tell(from, { id, result: result ?? null })
      } catch (error) {
        this.tell(from, { id, error: plainError(TidingsError.from(error)) })
      } finally {
        this.running.delete(name)
      }
    })
    return true
  }

  private tell(instance: string, answer: unknown): void {
    this.peers.tell(instance, RESULT, answer)
  }

  private done({ id, result, error }: Readonly<Record<string, unknown>>): void {
    const open = this.open.get(String(id))
    if (open === undefined) return
    if (error === undefined) open.resolve(result)
    else open.reject(readError(error))
  }
}

/** An error as instances tell it to each other. */
export function plainError(error: TidingsError): Record<string, unknown> {
  return { ...error.toBody(), status: error.status }
}

export function readError(value: unknown): TidingsError {
  const told = isRecord(value) ? value : {}
  const { error_code, message, details, retry_after_ms, reconnect, status } = told
  const name = typeof error_code === 'string' && error_code in ERRORS ? (error_code as ErrorName) : 'internal_error'
  return new TidingsError(name, typeof message === 'string' ? message : undefined, {
    ...(isRecord(details) && { details }),
    ...(typeof retry_after_ms === 'number' && { retryAfterMs: retry_after_ms }),
    ...(typeof reconnect === 'boolean' && { reconnect }),
    ...(typeof status === 'number' && { status }),
  })
}
