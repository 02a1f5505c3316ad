/** What is known of each topic: its number in the database, its limits, how much it holds, what was removed from it. */

import type { Database } from 'bun:sqlite'
import type { Retention } from '../../../core/ports/log.ts'

export interface Topic {
  readonly id: number
  readonly name: string
  maxMessages: number
  maxAgeMs: number
  /** The last cursor removed; 0: none. */
  trimmed: number
  count: number
  /** Wall time of the oldest message, in milliseconds; of no meaning where there is none. */
  oldestAt: number
}

/** Topics kept in memory, about 200 bytes each; the others are read again when they are needed. */
const MAX_CACHED = 50_000

/** A topic as a walk over all of them sees it. */
export interface TopicSummary {
  readonly id: number
  readonly name: string
  readonly maxAgeMs: number
  readonly trimmed: number
  /** Wall time of the oldest message; null: there is none. */
  readonly oldestAt: number | null
}

interface TopicRow {
  readonly id: number
  readonly name: string
  readonly max_messages: number
  readonly max_age_ms: number
  readonly trimmed: number
}

export class Topics {
  private readonly cache = new Map<string, Topic>()
  private readonly byName
  private readonly insert
  private readonly updateRetention
  private readonly updateTrimmed
  private readonly countOf
  private readonly oldestOf
  private readonly page
  private readonly remove

  constructor(db: Database) {
    this.byName = db.prepare<TopicRow, [string]>('SELECT * FROM topics WHERE name = ?')
    this.insert = db.prepare<void, [string, number, number]>(
      'INSERT INTO topics (name, max_messages, max_age_ms) VALUES (?, ?, ?)',
    )
    this.updateRetention = db.prepare<void, [number, number, number]>(
      'UPDATE topics SET max_messages = ?, max_age_ms = ? WHERE id = ?',
    )
    this.updateTrimmed = db.prepare<void, [number, number]>('UPDATE topics SET trimmed = ? WHERE id = ?')
    this.countOf = db.prepare<{ n: number }, [number]>(
      'SELECT count(*) AS n FROM messages INDEXED BY messages_by_topic WHERE topic = ?',
    )
    this.oldestOf = db.prepare<{ at: number }, [number]>(
      'SELECT at FROM messages INDEXED BY messages_by_topic WHERE topic = ? ORDER BY cursor LIMIT 1',
    )
    this.page = db.prepare<TopicSummary, [number, number]>(
      `SELECT id, name, max_age_ms AS maxAgeMs, trimmed,
         (SELECT at FROM messages INDEXED BY messages_by_topic WHERE topic = topics.id ORDER BY cursor LIMIT 1) AS oldestAt
       FROM topics WHERE id > ? ORDER BY id LIMIT ?`,
    )
    this.remove = db.prepare<void, [number]>('DELETE FROM topics WHERE id = ?')
  }

  /** A topic that was stored to before. */
  find(name: string): Topic | undefined {
    const cached = this.cache.get(name)
    if (cached !== undefined) return cached
    const row = this.byName.get(name)
    return row === null ? undefined : this.load(row)
  }

  /** The topic to store to, with the limits that hold from now on. Inside of a transaction. */
  open(name: string, retention: Retention): Topic {
    const { maxMessages, maxAgeMs } = retention
    let topic = this.find(name)
    if (topic === undefined) {
      const id = Number(this.insert.run(name, maxMessages, maxAgeMs).lastInsertRowid)
      topic = { id, name, maxMessages, maxAgeMs, trimmed: 0, count: 0, oldestAt: 0 }
      this.keep(topic)
    } else if (topic.maxMessages !== maxMessages || topic.maxAgeMs !== maxAgeMs) {
      this.updateRetention.run(maxMessages, maxAgeMs, topic.id)
      topic.maxMessages = maxMessages
      topic.maxAgeMs = maxAgeMs
    }
    return topic
  }

  /** The oldest messages of a topic were removed, up to `trimmed`. Inside of the transaction that removes. */
  trim(topic: Topic, trimmed: number, removed: number): void {
    this.updateTrimmed.run(trimmed, topic.id)
    topic.trimmed = trimmed
    topic.count -= removed
    topic.oldestAt = this.oldestOf.get(topic.id)?.at ?? 0
  }

  /** The next topics after an id, for a walk over all of them. */
  after(id: number, limit: number): TopicSummary[] {
    return this.page.all(id, limit)
  }

  /** Forgets an empty topic. Inside of a transaction. */
  forget(topic: TopicSummary): void {
    this.remove.run(topic.id)
    this.cache.delete(topic.name)
  }

  /** After a rollback: the database is the truth again. */
  reset(): void {
    this.cache.clear()
  }

  private load(row: TopicRow): Topic {
    const topic = {
      id: row.id,
      name: row.name,
      maxMessages: row.max_messages,
      maxAgeMs: row.max_age_ms,
      trimmed: row.trimmed,
      count: this.countOf.get(row.id)?.n ?? 0,
      oldestAt: this.oldestOf.get(row.id)?.at ?? 0,
    }
    this.keep(topic)
    return topic
  }

  private keep(topic: Topic): void {
    if (this.cache.size >= MAX_CACHED) {
      const oldest = this.cache.keys().next()
      if (!oldest.done) this.cache.delete(oldest.value)
    }
    this.cache.set(topic.name, topic)
  }
}
