/**
 * Work that one instance does for another and that may take long, such as to hold a poll. It is accepted at once, so that
 * silence shows that nobody is there; while it takes, the instance is asked now and then whether it still is; its result
 * comes when it is done, and it can be called off.
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

/** The instance has accepted an errand and has died since: what became of it is not known. */
export class WorkerLost extends TidingsError {
  constructor() {
    super('unavailable', 'Another instance has died')
  }
}

/** Milliseconds between two looks whether those who work for this instance are still there. */
const LOOK_MS = 5000

const ACCEPT = 'errand'
const RESULT = 'errand_result'
const CALL_OFF = 'errand_off'
const LOOK = 'errand_look'

interface Open {
  readonly instance: string
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
  private readonly lookMs: number
  private looking: ReturnType<typeof setTimeout> | undefined
  private counter = 0

  /** @param lookMs milliseconds between two looks at those who work for this instance. */
  constructor(peers: Peers, lookMs = LOOK_MS) {
    this.peers = peers
    this.lookMs = lookMs
    peers.answer(LOOK, () => true)
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
   * @throws NobodyThere (rejected) where it has not been accepted; WorkerLost: the instance has died since; TidingsError:
   * what the work threw, or `unavailable`: the result has not come in time, or is not wanted any more.
   */
  async send(instance: string, { kind, body, timeoutMs, signal }: Errand): Promise<unknown> {
    if (signal?.aborted) throw new TidingsError('unavailable', 'The client has left')
    const id = `${++this.counter}`
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    promise.catch(() => {})
    this.open.set(id, { instance, resolve, reject })
    const giveUp = (reason: string) => {
      this.peers.tell(instance, CALL_OFF, { id })
      reject(new TidingsError('unavailable', reason))
    }
    const leave = () => giveUp('The client has left')
    const timer = setTimeout(() => giveUp('Another instance does not answer'), timeoutMs + SILENCE_MS)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      const accepted = await this.peers.ask(instance, ACCEPT, { id, kind, body }).catch(() => false)
      if (accepted !== true) {
        // Where it is only busy it must not do later what somebody else does now.
        this.peers.tell(instance, CALL_OFF, { id })
        throw new NobodyThere(`${instance} has not accepted ${kind}`)
      }
      this.lookLater()
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      this.open.delete(id)
    }
  }

  private lookLater(): void {
    if (this.looking !== undefined || this.open.size === 0) return
    this.looking = setTimeout(async () => {
      const instances = new Set([...this.open.values()].map(({ instance }) => instance))
      await Promise.all([...instances].map((instance) => this.look(instance)))
      this.looking = undefined
      this.lookLater()
    }, this.lookMs)
    this.looking.unref()
  }

  /** Asks twice: a question that Redis has lost is nobody's death. */
  private async look(instance: string): Promise<void> {
    const open = [...this.open.values()].filter((errand) => errand.instance === instance)
    const isThere = () =>
      this.peers.ask(instance, LOOK, {}).then(
        () => true,
        () => false,
      )
    if ((await isThere()) || (await isThere())) return
    for (const { reject } of open) reject(new WorkerLost())
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
        if (controller.signal.aborted) return
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
