/**
 * The bus over Redis' publish and subscribe: messages that are stored nowhere go the short way, on the same channels as
 * the stored ones and by the same connections; questions and answers by a channel that only one instance hears.
 */
import type { Redis } from 'ioredis'
import type { Log } from '../../core/log.ts'
import type { Bus, BusAnswer, BusListener, BusMessage } from '../../core/ports/bus.ts'
import { ERRORS, type ErrorName, TidingsError } from '../../protocol/errors.ts'
import { formatAnswer, formatEphemeral, formatQuestion, parseBusText, type Question } from './bus-envelope.ts'
import { unavailable } from './failures.ts'
import type { Keys } from './keys.ts'
import { Script } from './script.ts'

export interface RedisBusOptions {
  readonly keys: Keys
  readonly instance: string
  /** The connection for commands; absent while there is none. */
  readonly redis: () => Redis | undefined
  readonly log: Log
}

/** Bytes of published messages that Redis may not have taken yet. Past it they are dropped: they are for now or never. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
/** Messages in one command: a fraction of a millisecond of Redis' time, in which it does nothing else. */
const MAX_TOGETHER = 128
/** Questions that may be open at once: each holds a timer. */
const MAX_QUESTIONS = 10_000

/** ARGV: channels and what is published on each, in turn. Answers how many could not be. */
const PUBLISH = new Script(`
local failed = 0
for n = 1, #ARGV, 2 do
  if type(redis.pcall('PUBLISH', ARGV[n], ARGV[n + 1])) == 'table' then failed = failed + 1 end
end
return failed
`)

interface Open {
  readonly instance: string
  readonly resolve: (body: string) => void
  readonly reject: (error: TidingsError) => void
  readonly timer: ReturnType<typeof setTimeout>
}

export class RedisBus implements Bus {
  readonly instance: string
  /** Messages that were published while Redis took none. */
  dropped = 0
  private readonly options: RedisBusOptions
  private readonly questions = new Map<string, Open>()
  private listener: BusListener = () => {}
  private answer: BusAnswer = () => {
    throw new TidingsError('unavailable')
  }
  private waiting: [channel: string, text: string][] = []
  private scheduled = false
  private pendingBytes = 0
  private counter = 0

  constructor(options: RedisBusOptions) {
    this.options = options
    this.instance = options.instance
  }

  onMessage(listener: BusListener): void {
    this.listener = listener
  }

  onQuestion(answer: BusAnswer): void {
    this.answer = answer
  }

  publish(topic: string, message: BusMessage): void {
    this.send(this.options.keys.channel(topic), formatEphemeral(this.instance, message))
  }

  /** Sends what waits for the end of this turn of the event loop: what is stored from now on comes after it. */
  flush(): void {
    const { waiting } = this
    this.waiting = []
    for (let n = 0; n < waiting.length; n += MAX_TOGETHER) void this.deliver(waiting.slice(n, n + MAX_TOGETHER))
  }

  async ask(instance: string, question: BusMessage, timeoutMs: number): Promise<string> {
    if (this.questions.size >= MAX_QUESTIONS) throw unavailable('Too many questions are open')
    const id = `q${++this.counter}`
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const timer = setTimeout(() => {
      this.questions.delete(id)
      reject(unavailable('Another instance does not answer'))
    }, timeoutMs)
    this.questions.set(id, { instance, resolve, reject, timer })
    this.send(this.options.keys.instanceChannel(instance), formatQuestion(this.instance, id, question))
    return promise
  }

  /**
   * Takes what came on a channel.
   * @param topic whose channel it is; absent: this instance's own.
   * @returns false where it is none of ours.
   */
  hear(topic: string | undefined, text: string): boolean {
    const heard = parseBusText(text)
    if (heard === undefined || (heard.kind === 'ephemeral') === (topic === undefined)) return false
    if (heard.kind === 'ephemeral') {
      if (heard.from !== this.instance) this.call(() => this.listener(topic as string, heard.message, heard.from))
    } else if (heard.kind === 'question') {
      void this.reply(heard)
    } else {
      const open = this.questions.get(heard.id)
      if (open === undefined || open.instance !== heard.from) return false
      this.questions.delete(heard.id)
      clearTimeout(open.timer)
      if (heard.error === undefined) open.resolve(heard.body)
      else
        open.reject(new TidingsError(heard.error in ERRORS ? (heard.error as ErrorName) : 'internal_error', heard.body))
    }
    return true
  }

  /** Ends all questions. */
  close(): void {
    for (const { reject, timer } of this.questions.values()) {
      clearTimeout(timer)
      reject(new TidingsError('unavailable', 'The server is shutting down'))
    }
    this.questions.clear()
  }

  private async reply({ from, id, message }: Question): Promise<void> {
    let error: TidingsError | undefined
    let body = ''
    try {
      body = await this.answer(message, from)
    } catch (thrown) {
      error = TidingsError.from(thrown)
      body = error.message
      if (!(thrown instanceof TidingsError)) this.options.log.error('bus_answer_failed', { error: thrown })
    }
    this.send(this.options.keys.instanceChannel(from), formatAnswer(this.instance, id, error?.errorName, body))
  }

  private send(channel: string, text: string): void {
    if (this.options.redis() === undefined || this.pendingBytes + text.length > MAX_PENDING_BYTES) {
      this.dropped++
      return
    }
    this.pendingBytes += text.length
    this.waiting.push([channel, text])
    if (this.scheduled) return
    // The first goes at once, and what follows in the same turn of the event loop together: a microtask runs after every
    // frame of a client, so each would be a write of its own.
    this.scheduled = true
    queueMicrotask(() => this.flush())
    setImmediate(() => {
      this.scheduled = false
      this.flush()
    })
  }

  private async deliver(some: readonly [channel: string, text: string][]): Promise<void> {
    const redis = this.options.redis()
    try {
      if (redis === undefined) throw new Error('the connection was closed')
      this.dropped += Number(await PUBLISH.runWhole(redis, some.flat()))
    } catch {
      // Whether they were told is not known, and nobody was promised that they are.
      this.dropped += some.length
    }
    for (const [, text] of some) this.pendingBytes -= text.length
  }

  private call(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.options.log.error('bus_listener_failed', { error })
    }
  }
}
