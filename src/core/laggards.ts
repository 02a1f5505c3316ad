/**
 * Slow members of rooms where only the newest counts. Whoever does not read fast enough is sent nothing of such a room
 * until it has read what waits for it; then it is told what it has missed, and goes on with the newest.
 */
import { formatCursor } from '../protocol/cursor.ts'
import { type Clock, toTimestamp } from './clock.ts'
import { Message } from './message.ts'
import type { Session } from './session.ts'
import type { Topic } from './topic.ts'

/** The share of `limits.max_pending_bytes` at which a member lags: past a burst, and well before it is cut off. */
const LAGGING_SHARE = 1 / 4

interface Lag {
  /** The position at which it was taken off. */
  readonly from: number
  readonly topics: Topic[]
  /** Bytes that waited then. More may only come from elsewhere. */
  readonly bytes: number
}

export interface LaggardsDeps {
  readonly clock: Clock
  /** Bytes that may wait for one connection. */
  readonly maxPendingBytes: number
  /** Everything up to this cursor has been handed to the connections of this process. */
  readonly delivered: () => number
}

export class Laggards {
  private readonly lags = new Map<Session, Lag>()
  private readonly deps: LaggardsDeps

  constructor(deps: LaggardsDeps) {
    this.deps = deps
  }

  /** Sessions that lag. */
  get size(): number {
    return this.lags.size
  }

  /**
   * Looks at what waits for a session.
   * @returns whether it may have so much waiting: it was just relieved, or has no more than when it was.
   */
  look(session: Session, buffered: number): boolean {
    const lag = this.lags.get(session)
    if (buffered === 0) {
      if (lag !== undefined) this.recover(session, lag)
      return true
    }
    if (buffered <= this.deps.maxPendingBytes * LAGGING_SHARE) return true
    const topics = session.subscriptions.flatMap(({ topic }) =>
      isSkipped(topic, session) && topic.lag(session) ? [topic] : [],
    )
    if (topics.length === 0) return lag !== undefined && buffered <= lag.bytes
    const from = lag?.from ?? this.deps.delivered()
    this.lags.set(session, { from, topics: [...(lag?.topics ?? []), ...topics], bytes: buffered })
    return true
  }

  /** The session is gone. */
  forget(session: Session): void {
    this.lags.delete(session)
  }

  private recover(session: Session, { from, topics }: Lag): void {
    this.lags.delete(session)
    for (const topic of topics) {
      const newest = topic.recover(session)
      if (newest === undefined) continue
      const delivered = this.deps.delivered()
      session.send({
        type: 'lagged',
        payload: { room: topic.room, from: formatCursor(from), to: formatCursor(newest.cursor ?? delivered) },
        timestamp: toTimestamp(this.deps.clock.now()),
      })
      // What came since on other topics has moved the position past it already: it must not go back.
      const isBehind = newest.cursor !== undefined && newest.cursor < delivered
      session.deliver(isBehind ? new Message({ ...newest.frame, history: true }) : newest)
    }
  }
}

/** Whether a session that lags skips what is said here. One that fetches reads what is kept from the log, all of it. */
function isSkipped({ latestOnly, log }: Topic, { fetching }: Session): boolean {
  return latestOnly && (fetching === undefined || log === undefined)
}
