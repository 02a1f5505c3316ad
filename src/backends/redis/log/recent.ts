/**
 * The newest messages of the topics that this process is told of, in memory. A session that catches up reads the last of
 * what it missed from here, in the turn in which it goes live; and a crowd that comes back does not all ask Redis.
 */
import type { Retention, Selection, StoredMessage } from '../../../core/ports/log.ts'

/** Bytes of messages that are kept for all topics together; the oldest go first, whosever they are. */
const MAX_BYTES = 16 * 1024 * 1024
/** Memory of a message beside its text. */
const OVERHEAD_BYTES = 200

interface Kept {
  /** Everything of the topic after this cursor that was told is here. */
  since: number
  messages: StoredMessage[]
  /** Those before this place are gone. */
  start: number
  retention: Retention | undefined
}

interface Place {
  readonly kept: Kept
  readonly cursor: number
  readonly bytes: number
}

export class Recent {
  private readonly wallMs: () => number
  private readonly maxBytes: number
  private readonly topics = new Map<string, Kept>()
  private order: Place[] = []
  private next = 0
  private bytes = 0

  /** @param wallMs milliseconds since 1970, by which the age of messages is judged. */
  constructor(wallMs: () => number, maxBytes = MAX_BYTES) {
    this.wallMs = wallMs
    this.maxBytes = maxBytes
  }

  /** From now on every message of a topic after this cursor is added. What was there of it is forgotten. */
  begin(topic: string, since: number): void {
    this.topics.set(topic, { since, messages: [], start: 0, retention: undefined })
  }

  end(topic: string): void {
    this.topics.delete(topic)
  }

  /** @param retention as its publisher has it; absent: as before. */
  add(message: StoredMessage, retention: Retention | undefined): void {
    const kept = this.topics.get(message.topic)
    if (kept === undefined) return
    kept.messages.push(message)
    kept.retention = retention ?? kept.retention
    const max = kept.retention?.maxMessages ?? Number.POSITIVE_INFINITY
    while (kept.messages.length - kept.start > max) shift(kept)
    const bytes = message.body.length + OVERHEAD_BYTES
    this.order.push({ kept, cursor: message.cursor, bytes })
    this.bytes += bytes
    while (this.bytes > this.maxBytes) this.dropOldest()
  }

  /** As `MessageLog.read`; absent where not all of it is here. */
  read({ topics, device }: Selection, after: number, upTo: number, limit: number): StoredMessage[] | undefined {
    const found: StoredMessage[] = []
    for (const topic of topics) {
      const kept = this.whole(topic, after)
      if (kept === undefined) return undefined
      for (let place = firstAfter(kept, after); place < kept.messages.length; place++) {
        const message = kept.messages[place] as StoredMessage
        if (message.cursor > upTo) break
        if (message.device === undefined || message.device === device) found.push(message)
      }
    }
    if (topics.length > 1) found.sort((a, b) => a.cursor - b.cursor)
    return found.length > limit ? found.slice(0, limit) : found
  }

  /** As `MessageLog.tail`; absent where there may be more than what is here. */
  tail(topic: string, count: number, upTo: number): StoredMessage[] | undefined {
    const kept = this.topics.get(topic)
    if (kept === undefined) return undefined
    this.expire(kept)
    const found: StoredMessage[] = []
    for (let place = kept.messages.length - 1; place >= kept.start && found.length < count; place--) {
      const message = kept.messages[place] as StoredMessage
      if (message.cursor <= upTo && message.device === undefined) found.push(message)
    }
    return found.length < count ? undefined : found.reverse()
  }

  /** As `MessageLog.count`; absent where not all of it is here. */
  count(topic: string, after: number): number | undefined {
    const kept = this.whole(topic, after)
    return kept && kept.messages.length - firstAfter(kept, after)
  }

  /** Whether everything that a topic has had after a cursor is here. */
  covers(topic: string, after: number): boolean {
    return this.whole(topic, after) !== undefined
  }

  /** What is kept of a topic, if that is everything after a cursor. */
  private whole(topic: string, after: number): Kept | undefined {
    const kept = this.topics.get(topic)
    if (kept === undefined) return undefined
    this.expire(kept)
    return kept.since <= after ? kept : undefined
  }

  private expire(kept: Kept): void {
    if (kept.retention === undefined) return
    const before = this.wallMs() - kept.retention.maxAgeMs
    for (let oldest = kept.messages[kept.start]; oldest !== undefined && oldest.at < before; ) {
      shift(kept)
      oldest = kept.messages[kept.start]
    }
  }

  private dropOldest(): void {
    const place = this.order[this.next++]
    if (place === undefined) return
    this.bytes -= place.bytes
    const { kept, cursor } = place
    // It may be gone already, for another reason.
    if (kept.messages[kept.start]?.cursor === cursor) shift(kept)
    if (this.next * 2 < this.order.length) return
    this.order = this.order.slice(this.next)
    this.next = 0
  }
}

function shift(kept: Kept): void {
  kept.since = kept.messages[kept.start]?.cursor ?? kept.since
  kept.start++
  if (kept.start * 2 < kept.messages.length) return
  kept.messages = kept.messages.slice(kept.start)
  kept.start = 0
}

/** The place of the first message after a cursor. */
function firstAfter(kept: Kept, after: number): number {
  let low = kept.start
  let high = kept.messages.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((kept.messages[middle]?.cursor ?? 0) > after) high = middle
    else low = middle + 1
  }
  return low
}
