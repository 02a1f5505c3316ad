/** Events that want an answer from clients: who was asked, who has answered, and what becomes of those who do not. */
import { bytesFromJson } from '../protocol/bytes.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import { newAckId } from './ids.ts'

/** One client's answer. */
export interface Answer {
  readonly connectionId: string
  readonly result: unknown
}

/** What came of an ask. */
export interface Answers {
  readonly answers: readonly Answer[]
  /** Recipients that have not answered in time. */
  readonly missing: number
}

interface Ask {
  expected: number
  readonly enough: number
  readonly answers: Map<string, unknown>
  readonly timer: ReturnType<typeof setTimeout>
  readonly resolve: (answers: Answers) => void
}

/** Asks that may be open at once: each holds a timer and its answers, and backends can ask as fast as they publish. */
const MAX_OPEN_ASKS = 10_000

/** The promise of one recipient's answer was not kept in time. */
export class AckTimeout extends TidingsError {
  constructor(timeoutMs: number) {
    super('ack_timeout', `No answer within ${timeoutMs} ms`)
  }
}

export class Asks {
  private readonly open = new Map<string, Ask>()

  get size(): number {
    return this.open.size
  }

  /**
   * Opens an ask. `publish` is given the `ack_id` to send along and says how many clients receive it; the promise
   * resolves when all have answered or the time is up.
   * @param enough answers after which nobody is waited for any more.
   * @throws TidingsError `unavailable` where too many asks are open, and what `publish` throws.
   */
  async ask(
    timeoutMs: number,
    publish: (ackId: string) => Promise<number> | number,
    enough = Number.POSITIVE_INFINITY,
  ): Promise<Answers> {
    if (this.open.size >= MAX_OPEN_ASKS) {
      throw new TidingsError('unavailable', 'Too many answers are being waited for', { retryAfterMs: timeoutMs })
    }
    const ackId = newAckId()
    const { promise, resolve } = Promise.withResolvers<Answers>()
    const timer = setTimeout(() => this.close(ackId), timeoutMs)
    const ask: Ask = { expected: Number.POSITIVE_INFINITY, enough, answers: new Map(), timer, resolve }
    this.open.set(ackId, ask)
    try {
      ask.expected = await publish(ackId)
    } catch (error) {
      ask.expected = 0
      this.close(ackId)
      throw error
    }
    if (isOver(ask)) this.close(ackId)
    return promise
  }

  /** Takes a client's answer; one to an ask that is unknown or over is ignored. */
  answer(ackId: string, connectionId: string, result: unknown): void {
    const ask = this.open.get(ackId)
    if (ask === undefined || ask.answers.has(connectionId)) return
    ask.answers.set(connectionId, result)
    if (isOver(ask)) this.close(ackId)
  }

  /** Takes answers that clients gave to other instances, as those tell them. */
  answerAll(answers: unknown): void {
    if (!Array.isArray(answers)) return
    for (const told of answers as unknown[]) {
      if (!isRecord(told)) continue
      const { ack_id: ackId, connection_id: connectionId, result } = told
      if (typeof ackId !== 'string' || typeof connectionId !== 'string') continue
      this.answer(
        ackId,
        connectionId,
        bytesFromJson(result, (marked) => marked),
      )
    }
  }

  /** Ends all asks with what has come. */
  closeAll(): void {
    for (const ackId of [...this.open.keys()]) this.close(ackId)
  }

  private close(ackId: string): void {
    const ask = this.open.get(ackId)
    if (ask === undefined) return
    this.open.delete(ackId)
    clearTimeout(ask.timer)
    const answers = [...ask.answers].map(([connectionId, result]) => ({ connectionId, result }))
    const missing = Number.isFinite(ask.expected) ? ask.expected - answers.length : 0
    ask.resolve({ answers, missing: Math.max(0, missing) })
  }
}

function isOver({ answers, expected, enough }: Ask): boolean {
  return answers.size >= Math.min(expected, enough)
}
