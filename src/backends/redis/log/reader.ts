/** Reads the log in Redis. Every answer is of one epoch: where keys were lost meanwhile, the question is asked anew. */
import type { ChainableCommander } from 'ioredis'
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Selection, StoredMessage } from '../../../core/ports/log.ts'
import type { Completeness } from '../../../core/recoverable.ts'
import { FENCED } from '../fence.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { isUnknown } from '../script.ts'
import { type Known, LOOK, parseKnown } from './look-script.ts'
import { type Row, Rows, type Wanted } from './rows.ts'

export interface ReaderOptions {
  readonly primary: Primary
  readonly keys: Keys
  readonly clock: CursorClock
  /** Microseconds for which topics are remembered that are empty now. */
  readonly horizon: number
}

/** Topics asked for at once. */
const MAX_TOPICS = 200
/** Messages of a tail that are fetched beside those asked for, because some may be for one device alone. */
const TAIL_EXTRA = 8
/** The most that one step back reads. */
const MAX_TAIL = 500

type Queue = (pipeline: ChainableCommander) => void

export class Reader {
  private readonly options: ReaderOptions

  constructor(options: ReaderOptions) {
    this.options = options
  }

  async read(selection: Selection, after: number, upTo: number, limit: number): Promise<readonly StoredMessage[]> {
    const { topics, device } = selection
    const rows = this.rows(topics, after, upTo, limit)
    const page = await rows.read(limit, ({ message }) => message.device === undefined || message.device === device)
    return page.map(({ message }) => message)
  }

  /** Everything of some topics in a range, for whomever it is. */
  rows(topics: readonly string[], after: number, upTo: number, page: number): Rows {
    let first = true
    const fetch = async (wanted: readonly Wanted[], count: number): Promise<Row[][]> => {
      const found: Row[][] = []
      for (let n = 0; n < wanted.length; n += MAX_TOPICS) {
        const some = wanted.slice(n, n + MAX_TOPICS)
        const names = some.map(({ topic }) => topic)
        found.push(...(await this.page(some, upTo, count, first ? names : [])))
      }
      first = false
      return found
    }
    return new Rows(fetch, topics, after, page)
  }

  async tail(topic: string, count: number, upTo: number): Promise<readonly StoredMessage[]> {
    const { keys } = this.options
    const found: StoredMessage[] = []
    let before = String(upTo)
    let looked: readonly string[] = [topic]
    while (found.length < count) {
      const step = Math.min(MAX_TAIL, count - found.length + TAIL_EXTRA)
      const { answers } = await this.readAfterLook(looked, (pipeline) =>
        pipeline.xrevrange(keys.stream(topic), before, '-', 'COUNT', step),
      )
      const rows = parseRows(topic, answers[0])
      for (const { message } of rows) if (message.device === undefined && found.length < count) found.push(message)
      if (rows.length < step) break
      before = `(${rows.at(-1)?.message.cursor ?? 0}`
      looked = []
    }
    return found.reverse()
  }

  async count(topic: string, after: number): Promise<number> {
    const { keys } = this.options
    const { known, answers } = await this.readAfterLook([topic], (pipeline) =>
      pipeline.xrange(keys.stream(topic), `(${after}`, '+', 'COUNT', 1),
    )
    const [first] = parseRows(topic, answers[0])
    return first === undefined ? 0 : Math.max(1, (known.topics[0]?.count ?? 0) - first.number + 1)
  }

  async completeness(topic: string): Promise<Completeness> {
    const { since, forgotten, last, now, topics } = await this.look([topic])
    return {
      completeSince: Math.max(since, forgotten),
      horizon: this.options.horizon,
      trimmed: topics[0]?.trimmed ?? 0,
      last,
      now,
    }
  }

  /** What the log knows of topics, when what is too old has been removed from them. */
  async look(topics: readonly string[]): Promise<Known> {
    const { clock, keys, primary } = this.options
    const reply = await primary.ask((redis, epoch) =>
      LOOK.run(redis, [keys.log], [epoch, clock.now(), keys.prefix, ...topics]),
    )
    return parseKnown(reply)
  }

  private async page(wanted: readonly Wanted[], upTo: number, count: number, looked: readonly string[]) {
    const { keys } = this.options
    const { answers } = await this.readAfterLook(looked, (pipeline) => {
      for (const { topic, after } of wanted)
        pipeline.xrange(keys.stream(topic), `(${after}`, String(upTo), 'COUNT', count)
    })
    return wanted.map(({ topic }, place) => parseRows(topic, answers[place]))
  }

  /**
   * Looks at topics, and reads. In no transaction, because Redis takes none when it has no memory left; so the epoch is
   * looked at again behind the reading. What is trimmed in between is missing, and the next look says so.
   */
  private async readAfterLook(topics: readonly string[], queue: Queue): Promise<{ known: Known; answers: unknown[] }> {
    const { clock, keys, primary } = this.options
    const [known, ...answers] = await primary.ask(async (redis, epoch) => {
      for (;;) {
        const pipeline = redis.pipeline()
        const [name = '', ...args] = LOOK.command([keys.log], [epoch, clock.now(), keys.prefix, ...topics])
        pipeline.call(String(name), ...args)
        queue(pipeline)
        pipeline.hget(keys.log, 'epoch')
        const results = (await pipeline.exec()) ?? []
        const failure = results.find(([error]) => error !== null)?.[0]
        if (failure === undefined || failure === null) {
          const replies = results.map(([, reply]) => reply)
          return replies[0] === FENCED || replies.at(-1) !== epoch ? FENCED : replies.slice(0, -1)
        }
        if (!isUnknown(failure)) throw failure
        await LOOK.load(redis)
      }
    })
    return { known: parseKnown(known), answers }
  }
}

function parseRows(topic: string, reply: unknown): Row[] {
  return (reply as [id: string, fields: string[]][]).map(([entry, fields]) => {
    const [, previous, , number, , at, , id = '', , device = '', , body = ''] = fields
    const cursor = Number(entry.slice(0, entry.indexOf('-')))
    const message = { cursor, topic, device: device === '' ? undefined : device, id, body, at: Number(at) }
    return { message, previous: Number(previous), number: Number(number) }
  })
}
