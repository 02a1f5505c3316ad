/** A message on its way into the log. */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Appended, Entry, StoredMessage } from '../../../core/ports/log.ts'
import type { TidingsError } from '../../../protocol/errors.ts'
import type { KeyedAnswer } from './answers.ts'
import type { Messages } from './messages.ts'
import type { Topics } from './topics.ts'
import type { Trimmer } from './trimmer.ts'
import type { Write } from './writer.ts'

export interface AppendParts {
  readonly clock: CursorClock
  readonly messages: Messages
  readonly topics: Topics
  readonly trimmer: Trimmer
}

/** Memory of a waiting message beside its text: the entry, the promise and what they point to. */
const OVERHEAD_BYTES = 500

export class PendingAppend implements Write {
  readonly bytes: number
  private readonly entry: Entry
  private readonly parts: AppendParts
  private readonly resolve: (appended: Appended) => void
  private readonly reject: (error: TidingsError) => void
  /** Given when it is first written, and kept if that has to be repeated; 0: none yet. */
  private cursor = 0

  constructor(
    entry: Entry,
    parts: AppendParts,
    resolve: (appended: Appended) => void,
    reject: (error: TidingsError) => void,
  ) {
    this.bytes = entry.body.length + OVERHEAD_BYTES
    this.entry = entry
    this.parts = parts
    this.resolve = resolve
    this.reject = reject
  }

  run(): void {
    const { clock, messages, topics, trimmer } = this.parts
    const { entry } = this
    if (this.cursor === 0) this.cursor = clock.next()
    const topic = topics.open(entry.topic, entry.retention)
    messages.add(this.cursor, topic, entry)
    if (topic.count === 0) topic.oldestAt = entry.at
    topic.count++
    trimmer.grown(topic)
  }

  /** What a later try with the same key is to be told; absent: it has no key. */
  answer(): KeyedAnswer | undefined {
    const { idempotency, id } = this.entry
    return idempotency && [idempotency.scope, idempotency.key, this.cursor, id]
  }

  message(): StoredMessage {
    const { topic, device, id, body, at, origin } = this.entry
    return { cursor: this.cursor, topic, device, id, body, at, origin }
  }

  committed(): void {
    this.resolve({ cursor: this.cursor, id: this.entry.id })
  }

  failed(error: TidingsError): void {
    this.reject(error)
  }
}
