/**
 * Removes what is beyond a topic's limits, a bounded piece at a time and as part of transactions that are made anyway.
 * A topic may hold a little more than its limit for a while; whoever reads it has it trimmed first.
 */

import type { Database } from 'bun:sqlite'
import type { Topic, Topics } from './topics.ts'

/** Messages beyond its limit at which a topic is trimmed unasked, as a share of it: one removal for many messages. */
const SLACK_SHARE = 1 / 4
/** The most such messages. */
const MAX_SLACK = 1000
/** Messages of one topic that one step looks at. */
const STEP = 256
/** Milliseconds for which one transaction may remove: as much as it may write, and removing takes less than writing. */
const BUDGET_MS = 3

export class Trimmer {
  private readonly topics: Topics
  private readonly wallMs: () => number
  private readonly monotonic: () => number
  /** Names, not topics: one that was dropped from memory and read again would be counted twice. */
  private readonly dirty = new Set<string>()
  /** Those that a reader waits for. */
  private readonly urgent = new Set<string>()
  private readonly nth
  private readonly oldest
  private readonly remove

  constructor(db: Database, topics: Topics, wallMs: () => number, monotonic: () => number) {
    this.monotonic = monotonic
    this.topics = topics
    this.wallMs = wallMs
    this.nth = db.prepare<{ cursor: number }, [number, number]>(
      'SELECT cursor FROM messages INDEXED BY messages_by_topic WHERE topic = ? ORDER BY cursor LIMIT 1 OFFSET ?',
    )
    this.oldest = db.prepare<{ cursor: number; at: number }, [number, number]>(
      'SELECT cursor, at FROM messages INDEXED BY messages_by_topic WHERE topic = ? ORDER BY cursor LIMIT ?',
    )
    this.remove = db.prepare<void, [number, number]>(
      'DELETE FROM messages INDEXED BY messages_by_topic WHERE topic = ? AND cursor <= ?',
    )
  }

  /** Whether topics wait to be trimmed. */
  get pending(): boolean {
    return this.dirty.size + this.urgent.size > 0
  }

  /** Whether a topic holds more than its limits allow. */
  exceeds(topic: Topic): boolean {
    return topic.count > topic.maxMessages || this.hasExpired(topic)
  }

  /** A message was added: the topic is trimmed when it holds enough too many. */
  grown(topic: Topic): void {
    const slack = Math.min(MAX_SLACK, Math.floor(topic.maxMessages * SLACK_SHARE))
    if (topic.count > topic.maxMessages + slack) this.dirty.add(topic.name)
  }

  /** Has topics trimmed with the next transaction, those that a reader waits for ahead of others. */
  request(name: string, urgent: boolean): void {
    if (urgent) this.urgent.add(name)
    else this.dirty.add(name)
  }

  /** Removes messages of topics that wait, about `rows` and not for much longer than its time. Inside of a transaction. */
  work(rows: number): void {
    const until = this.monotonic() + BUDGET_MS
    this.workOn(this.dirty, this.workOn(this.urgent, rows, until), until)
  }

  /** @returns what is left of `rows`. */
  private workOn(names: Set<string>, rows: number, until: number): number {
    let left = rows
    for (const name of names) {
      if (left <= 0 || this.monotonic() > until) break
      names.delete(name)
      const topic = this.topics.find(name)
      if (topic === undefined || !this.exceeds(topic)) continue
      left -= this.step(topic, Math.min(left, STEP))
      // To the end of the line, so that one long topic does not hold up the others.
      if (this.exceeds(topic)) names.add(name)
    }
    return left
  }

  private step(topic: Topic, limit: number): number {
    const excess = Math.min(limit, topic.count - topic.maxMessages)
    if (excess > 0) {
      const last = this.nth.get(topic.id, excess - 1)
      if (last !== null) this.removeTo(topic, last.cursor, excess)
      return excess
    }
    const before = this.wallMs() - topic.maxAgeMs
    const rows = this.oldest.all(topic.id, limit)
    // Only from the oldest on: what is removed has one end, though a wall clock that jumped may have dated them oddly.
    const young = rows.findIndex((row) => row.at >= before)
    const expired = young === -1 ? rows.length : young
    const last = rows[expired - 1]
    if (last !== undefined) this.removeTo(topic, last.cursor, expired)
    return Math.max(1, expired)
  }

  private removeTo(topic: Topic, cursor: number, count: number): void {
    this.remove.run(topic.id, cursor)
    this.topics.trim(topic, cursor, count)
  }

  private hasExpired(topic: Topic): boolean {
    return topic.count > 0 && topic.oldestAt < this.wallMs() - topic.maxAgeMs
  }
}
