/** The log in SQLite: cursors are given in the transaction that stores, and told in that order. */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Log } from '../../../core/log.ts'
import type { MaybePromise } from '../../../core/maybe-promise.ts'
import type {
  Appended,
  CommitListener,
  Entry,
  MessageLog,
  Positions,
  Selection,
  StoredMessage,
} from '../../../core/ports/log.ts'
import type { Completeness } from '../../../core/recoverable.ts'
import { TidingsError } from '../../../protocol/errors.ts'
import type { Answers, KeyedAnswer } from './answers.ts'
import type { Facts } from './facts.ts'
import { mergeSources, type Source } from './merge.ts'
import type { Messages } from './messages.ts'
import { PendingAppend } from './pending-append.ts'
import type { DevicePositions } from './positions.ts'
import { readSafely } from './reading.ts'
import type { Topic, Topics } from './topics.ts'
import type { Trimmer } from './trimmer.ts'
import type { BatchHooks, Write, Writer } from './writer.ts'

export interface MessageLogParts {
  readonly clock: CursorClock
  readonly wallMs: () => number
  readonly log: Log
  readonly topics: Topics
  readonly messages: Messages
  readonly answers: Answers
  readonly trimmer: Trimmer
  readonly facts: Facts
  readonly positions: DevicePositions
  /** The writer is made with this log's hooks, so it comes later. */
  readonly writer: () => Writer
  /** Calls back when what was committed until now is as durable as it was promised to be. */
  readonly durable: (tell: (error: Error | undefined) => void) => void
  /** After each commit. */
  readonly afterCommit: () => void
  readonly completeSince: number
  readonly horizonMs: number
  /** Writes what is waiting, and ends the run. */
  readonly close: () => Promise<void>
}

/** Messages removed with a commit: those that it brings too many, and a share of what is left from before. */
const TRIM_PER_WRITE = 2
const TRIM_AT_LEAST = 256

export class SqliteMessageLog implements MessageLog, BatchHooks {
  private readonly parts: MessageLogParts
  private readonly horizon: number
  private listener: CommitListener = () => {}
  private told: number
  /** The last cursor that the database knows of. */
  private stored = 0
  private trimming = false
  private closing: Promise<void> | undefined

  constructor(parts: MessageLogParts) {
    this.parts = parts
    this.horizon = parts.horizonMs * 1000
    this.told = parts.clock.last
  }

  get failing(): string | undefined {
    return this.parts.writer().failing
  }

  onCommitted(listener: CommitListener): void {
    this.listener = listener
  }

  head(): number {
    return this.told
  }

  append(entry: Entry): Promise<Appended> {
    const { answers } = this.parts
    const { idempotency } = entry
    if (idempotency === undefined) return this.enqueue(entry)
    const { scope, key } = idempotency
    const known = answers.find(scope, key)
    if (known instanceof Promise) return known.then(asDuplicate)
    if (known !== undefined) return Promise.resolve(asDuplicate(known))
    const answer = this.enqueue(entry)
    answers.follow(scope, key, answer)
    return answer
  }

  read(selection: Selection, after: number, upTo: number, limit: number): MaybePromise<readonly StoredMessage[]> {
    return this.whenTrimmed(selection.topics, (topics) => {
      const { messages } = this.parts
      const source =
        (topic: Topic): Source<StoredMessage> =>
        (from, count) =>
          messages.read(topic, from, upTo, selection.device, count)
      return mergeSources(topics.map(source), after, limit)
    })
  }

  tail(name: string, count: number, upTo: number): MaybePromise<readonly StoredMessage[]> {
    return this.whenTrimmed([name], ([topic]) =>
      topic === undefined ? [] : this.parts.messages.tail(topic, count, upTo),
    )
  }

  count(name: string, after: number): MaybePromise<number> {
    return this.whenTrimmed([name], ([topic]) => (topic === undefined ? 0 : this.parts.messages.count(topic, after)))
  }

  completeness(name: string): MaybePromise<Completeness> {
    return this.whenTrimmed([name], ([topic]) => ({
      completeSince: this.parts.completeSince,
      horizon: this.horizon,
      trimmed: topic?.trimmed ?? 0,
      last: this.parts.clock.last,
      now: this.parts.clock.now(),
    }))
  }

  positions(userId: string, deviceId: string): Positions {
    return readSafely(() => this.parts.positions.of(userId, deviceId))
  }

  acknowledge(userId: string, deviceId: string, cursor: number): void {
    this.parts.positions.acknowledge(userId, deviceId, cursor)
  }

  introduce(userId: string, deviceId: string, cursor: number): Promise<void> {
    return this.parts.positions.introduce(userId, deviceId, cursor)
  }

  close(): Promise<void> {
    this.closing ??= this.parts.close()
    return this.closing
  }

  finish(writes: readonly Write[], careful: boolean): void {
    const { answers, clock, facts, trimmer, wallMs } = this.parts
    if (clock.last > this.stored) facts.writeLast(clock.last)
    answers.write(clock.last, wallMs(), keyed(writes))
    if (!careful) trimmer.work(writes.length * TRIM_PER_WRITE + TRIM_AT_LEAST)
  }

  undone(): void {
    this.parts.topics.reset()
  }

  committed(writes: readonly Write[]): void {
    const head = this.parts.clock.last
    this.stored = head
    this.parts.durable((error) => this.tell(writes, head, error))
    this.parts.afterCommit()
    if (this.parts.trimmer.pending) this.trimLater()
  }

  /** Gives the time a cursor, so that those who hear nothing have a position that does not grow old. */
  advance(): void {
    this.inBackground(() => this.parts.clock.next())
  }

  /** Has something written with the next transaction, by nobody's wish: what fails is tried another time. */
  inBackground(run: () => void): void {
    try {
      this.parts.writer().enqueue({ bytes: 0, run, committed: () => {}, failed: () => {} })
    } catch {
      // The queue is full or closed; the writer has said so to those who asked for more.
    }
  }

  /** What is over the limits is removed with the messages that come; where none come, by itself. */
  private trimLater(): void {
    if (this.trimming) return
    this.trimming = true
    const done = (): void => {
      this.trimming = false
    }
    try {
      this.parts.writer().enqueue({ bytes: 0, run: () => {}, committed: done, failed: done })
    } catch {
      done()
    }
  }

  /** Delivery first, then the publishers: what is acknowledged has been handed on. */
  private tell(writes: readonly Write[], head: number, error: Error | undefined): void {
    const batch: StoredMessage[] = []
    for (const write of writes) if (write instanceof PendingAppend) batch.push(write.message())
    if (head > this.told) {
      this.told = head
      try {
        this.listener(batch, head)
      } catch (thrown) {
        this.parts.log.error('delivery_failed', { error: thrown })
      }
    }
    if (error === undefined) {
      for (const write of writes) write.committed()
      return
    }
    // It stands in the log and was delivered; only whether it outlives a power cut is not known.
    this.parts.log.error('store_sync_failed', { error: error.message })
    const refusal = new TidingsError('unavailable', 'The message may not be stored durably', { cause: error })
    for (const write of writes) write.failed(refusal)
  }

  private enqueue(entry: Entry): Promise<Appended> {
    const { clock, messages, topics, trimmer } = this.parts
    return new Promise((resolve, reject) => {
      this.parts.writer().enqueue(new PendingAppend(entry, { clock, messages, topics, trimmer }, resolve, reject))
    })
  }

  /**
   * Calls `read` with those of the topics that exist, when none of them holds more than it should. Where the store can be
   * read but not written, they are read as they are.
   */
  private whenTrimmed<T>(names: readonly string[], read: (topics: Topic[]) => T): MaybePromise<T> {
    return readSafely(() => {
      const topics = this.find(names)
      const exceeding = topics.filter((topic) => this.parts.trimmer.exceeds(topic))
      if (exceeding.length === 0) return read(topics)
      return this.trim(names).then(() => readSafely(() => read(this.find(names))))
    })
  }

  private find(names: readonly string[]): Topic[] {
    return names.map((name) => this.parts.topics.find(name)).filter((topic) => topic !== undefined)
  }

  private async trim(names: readonly string[]): Promise<void> {
    const { trimmer } = this.parts
    try {
      let before = Number.POSITIVE_INFINITY
      for (;;) {
        const exceeding = readSafely(() => this.find(names).filter((topic) => trimmer.exceeds(topic)))
        const held = exceeding.reduce((sum, topic) => sum + topic.count, 0)
        // A removal that failed without failing the store would be tried for ever.
        if (exceeding.length === 0 || held === before) return
        before = held
        for (const topic of exceeding) trimmer.request(topic.name, true)
        await this.nudge()
      }
    } catch (error) {
      this.parts.log.warn('store_trim_failed', { error })
    }
  }

  /** A transaction with nothing in it but what every transaction does at its end. */
  private nudge(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.parts.writer().enqueue({ bytes: 0, run: () => {}, committed: resolve, failed: reject })
    })
  }
}

function keyed(writes: readonly Write[]): KeyedAnswer[] {
  const answers: KeyedAnswer[] = []
  for (const write of writes) {
    const answer = write instanceof PendingAppend ? write.answer() : undefined
    if (answer !== undefined) answers.push(answer)
  }
  return answers
}

function asDuplicate({ cursor, id }: Appended): Appended {
  return { cursor, id, duplicate: true }
}
