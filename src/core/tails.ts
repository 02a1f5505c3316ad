/**
 * The newest messages of rooms that somebody is being read to, encoded: read from the log once for all who wait for them.
 * After a restart everybody comes back to the same rooms for the same messages, and reading and encoding them for each was
 * two thirds of the work.
 */
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { MessageLog, StoredMessage } from './ports/log.ts'

/** A message of the log, and what is sent for it: made when it is first sent, once for all. */
export class Row {
  readonly topic: string
  readonly cursor: number
  readonly body: string
  private made: Message | undefined

  constructor({ topic, cursor, body }: StoredMessage) {
    this.topic = topic
    this.cursor = cursor
    this.body = body
  }

  get message(): Message {
    this.made ??= Message.stored(this.body, this.cursor)
    return this.made
  }
}

/** Everything of a topic after one cursor, up to another. */
class Tail {
  from: number
  to: number
  rows: Row[] = []
  bytes = 0
  lastUsed = 0
  /** What is being read to go on with it. */
  loading: Promise<unknown> | undefined

  constructor(from: number) {
    this.from = from
    this.to = from
  }

  /** Where the first message after a cursor stands. */
  indexAfter(cursor: number): number {
    let low = 0
    let high = this.rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.rows[middle] as Row).cursor > cursor) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Forgets what is up to a cursor. */
  cut(cursor: number): void {
    if (cursor <= this.from) return
    for (const row of this.rows.splice(0, this.indexAfter(cursor))) this.bytes -= sizeOf(row)
    this.from = cursor
    this.to = Math.max(this.to, cursor)
  }

  add(rows: readonly StoredMessage[], to: number): void {
    for (const row of rows) {
      this.rows.push(new Row(row))
      this.bytes += sizeOf(row)
    }
    this.to = to
  }
}

/**
 * Bytes of what is kept of one topic, and of all: a few thousand chat messages, and memory beside that of the connections
 * that are being read to. What is sent takes as much again for each encoding in use.
 */
const TOPIC_BYTES = 2 * 1024 * 1024
const ALL_BYTES = 8 * 1024 * 1024
/** Memory that a message takes beside its text. */
const OVERHEAD_BYTES = 300
/** Milliseconds without a reader after which a tail is forgotten: a crowd comes back within seconds. */
const UNUSED_MS = 5000

function sizeOf({ body }: Pick<StoredMessage, 'body'>): number {
  return body.length + OVERHEAD_BYTES
}

export class Tails {
  private readonly log: Pick<MessageLog, 'read' | 'completeness'>
  private readonly monotonic: () => number
  /** Least recently read first. */
  private readonly tails = new Map<string, Tail>()

  constructor(log: Pick<MessageLog, 'read' | 'completeness'>, monotonic: () => number) {
    this.log = log
    this.monotonic = monotonic
  }

  /**
   * As {@link MessageLog.read}, of one topic whose messages everybody may see.
   * @returns at most `limit` messages; fewer: there are no more.
   */
  read(topic: string, after: number, upTo: number, limit: number): MaybePromise<readonly Row[]> {
    return whenReady(this.log.completeness(topic, after), ({ trimmed }) => {
      // What was removed is not there any more, here neither. Of what is older than the reader nothing was asked.
      if (trimmed > after) this.tails.get(topic)?.cut(trimmed)
      const from = Math.max(after, trimmed)
      return this.readOn(this.use(topic, from), topic, from, upTo, limit)
    })
  }

  /** Forgets what nobody reads any more. Called every second. */
  sweep(): void {
    const before = this.monotonic() - UNUSED_MS
    for (const [topic, { lastUsed }] of this.tails) if (lastUsed <= before) this.tails.delete(topic)
  }

  /**
   * @param tail the reader's own until it is done: others may have put theirs in its place, and two who look for the
   * shared one again after each reading would do so for ever.
   */
  private readOn(tail: Tail, topic: string, after: number, upTo: number, limit: number): MaybePromise<readonly Row[]> {
    const start = tail.indexAfter(after)
    if (tail.to >= upTo || tail.rows.length - start >= limit) {
      const found = tail.rows.slice(start, start + limit)
      // Somebody was read to up to a later position.
      while (found.length > 0 && (found.at(-1) as Row).cursor > upTo) found.pop()
      return found
    }
    const again = (): MaybePromise<readonly Row[]> =>
      after < tail.from ? this.read(topic, after, upTo, limit) : this.readOn(tail, topic, after, upTo, limit)
    if (tail.loading !== undefined) return tail.loading.then(again)
    const from = tail.to
    const page = this.log.read({ topics: [topic] }, from, upTo, limit)
    if (!(page instanceof Promise)) {
      this.extend(tail, page, upTo, limit)
      return again()
    }
    const loading = page.then(async (rows) => {
      const { trimmed } = await this.log.completeness(topic, from)
      this.extend(tail, rows, upTo, limit)
      // It may have been removed before it was read: then it is missing here, though others still have it in memory.
      if (trimmed > from) tail.cut(trimmed)
    })
    // A reader that fails fails alone: the others try for themselves.
    const done = loading
      .catch(() => {})
      .then(() => {
        tail.loading = undefined
      })
    tail.loading = done
    return done.then(() => loading).then(again)
  }

  /** The tail of a topic with what is after a cursor; a new one where the one there is does not reach back so far. */
  private use(topic: string, after: number): Tail {
    let tail = this.tails.get(topic)
    if (tail === undefined || after < tail.from || after > tail.to) tail = new Tail(after)
    this.tails.delete(topic)
    this.tails.set(topic, tail)
    tail.lastUsed = this.monotonic()
    return tail
  }

  private extend(tail: Tail, rows: readonly StoredMessage[], upTo: number, limit: number): void {
    // What was removed while it was being read is not taken in again.
    const wanted = rows.filter(({ cursor }) => cursor > tail.to)
    tail.add(wanted, Math.max(tail.to, rows.length < limit ? upTo : (rows.at(-1)?.cursor ?? upTo)))
    this.shrink(tail, limit)
  }

  /** The newest page stays: it is what was just asked for. */
  private shrink(tail: Tail, limit: number): void {
    while (tail.bytes > TOPIC_BYTES && tail.rows.length > limit) tail.cut(tail.rows[limit - 1]?.cursor ?? 0)
    let bytes = 0
    for (const each of this.tails.values()) bytes += each.bytes
    for (const [topic, each] of this.tails) {
      if (bytes <= ALL_BYTES) return
      if (each === tail) continue
      bytes -= each.bytes
      this.tails.delete(topic)
    }
  }
}
