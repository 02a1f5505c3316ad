/** The table of messages: adding one, reading them in order. */

import type { Database } from 'bun:sqlite'
import type { Entry, StoredMessage } from '../../../core/ports/log.ts'
import type { Topic } from './topics.ts'

interface Row {
  readonly cursor: number
  readonly at: number
  readonly id: string
  readonly device: string | null
  readonly body: string
}

export class Messages {
  private readonly insert
  private readonly forward
  private readonly backward
  private readonly countAfter
  private readonly highest

  constructor(db: Database) {
    this.insert = db.prepare<void, [number, number, number, string, string | null, string]>(
      'INSERT INTO messages (cursor, topic, at, id, device, body) VALUES (?, ?, ?, ?, ?, ?)',
    )
    // The planner, which knows no numbers, might walk over the cursors of all topics instead.
    this.forward = db.prepare<Row, [number, number, number, string | null, number]>(
      `SELECT cursor, at, id, device, body FROM messages INDEXED BY messages_by_topic
       WHERE topic = ? AND cursor > ? AND cursor <= ? AND (device IS NULL OR device = ?) ORDER BY cursor LIMIT ?`,
    )
    this.backward = db.prepare<Row, [number, number, number]>(
      `SELECT cursor, at, id, device, body FROM messages INDEXED BY messages_by_topic
       WHERE topic = ? AND cursor <= ? AND device IS NULL ORDER BY cursor DESC LIMIT ?`,
    )
    this.countAfter = db.prepare<{ n: number }, [number, number]>(
      'SELECT count(*) AS n FROM messages INDEXED BY messages_by_topic WHERE topic = ? AND cursor > ?',
    )
    this.highest = db.prepare<{ cursor: number | null }, []>('SELECT max(cursor) AS cursor FROM messages')
  }

  /** Adds a message. Inside of a transaction. */
  add(cursor: number, topic: Topic, entry: Entry): void {
    this.insert.run(cursor, topic.id, entry.at, entry.id, entry.device ?? null, entry.body)
  }

  /** At most `limit` messages of a topic after `after`, up to and with `upTo`, that `device` may see; oldest first. */
  read(topic: Topic, after: number, upTo: number, device: string | undefined, limit: number): StoredMessage[] {
    return this.forward.all(topic.id, after, upTo, device ?? null, limit).map((row) => toMessage(topic, row))
  }

  /** The last `count` messages of a topic that everyone may see, up to and with `upTo`; oldest first. */
  tail(topic: Topic, count: number, upTo: number): StoredMessage[] {
    const rows = this.backward.all(topic.id, upTo, count).reverse()
    return rows.map((row) => toMessage(topic, row))
  }

  count(topic: Topic, after: number): number {
    return this.countAfter.get(topic.id, after)?.n ?? 0
  }

  /** The highest cursor in the table; 0: it is empty. */
  last(): number {
    return this.highest.get()?.cursor ?? 0
  }
}

function toMessage(topic: Topic, row: Row): StoredMessage {
  const { cursor, at, id, device, body } = row
  return { cursor, topic: topic.name, device: device ?? undefined, id, body, at }
}
