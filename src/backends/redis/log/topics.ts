/** The topics that this instance is told of: who wants which, who waits for one, and how far each has come. */
import type { MaybePromise } from '../../../core/maybe-promise.ts'
import { unavailable } from '../failures.ts'
import type { Keys } from '../keys.ts'

/** Milliseconds for which a topic that nobody wants stays subscribed: a client that changes its room often comes back. */
const LINGER_MS = 5000
/**
 * Milliseconds for which somebody waits for a topic to be live while subscribing goes on: when many thousands come at once
 * it takes its time, and whoever is sent away would come again on top of them.
 */
const PATIENCE_MS = 15_000

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly until: number
}

export class Topic {
  readonly name: string
  readonly channel: string
  /** Everything of it up to this cursor has been told; its next message names one that is no later as the one before it. */
  last = 0
  /** It is told of. Before that it is being subscribed to. */
  live = false
  waiting: Waiter[] = []
  /** Monotonic milliseconds since which nobody wants it; absent while somebody does. */
  idleSince: number | undefined

  constructor(name: string, channel: string) {
    this.name = name
    this.channel = channel
  }
}

export class Topics {
  private readonly keys: Keys
  private readonly monotonic: () => number
  private readonly byChannel = new Map<string, Topic>()
  private readonly idle = new Set<Topic>()
  private readonly fresh = new Set<Topic>()

  constructor(keys: Keys, monotonic: () => number) {
    this.keys = keys
    this.monotonic = monotonic
  }

  find(channel: string): Topic | undefined {
    return this.byChannel.get(channel)
  }

  all(): Topic[] {
    return [...this.byChannel.values()]
  }

  /** Those that are wanted and not told of yet. */
  pending(): Topic[] {
    return [...this.fresh]
  }

  /** Somebody wants a topic. Resolves when it is live. */
  want(name: string): MaybePromise<void> {
    const channel = this.keys.channel(name)
    let topic = this.byChannel.get(channel)
    if (topic === undefined) {
      topic = new Topic(name, channel)
      this.byChannel.set(channel, topic)
      this.fresh.add(topic)
    }
    topic.idleSince = undefined
    this.idle.delete(topic)
    if (topic.live) return
    const { waiting } = topic
    const until = this.monotonic() + PATIENCE_MS
    return new Promise((resolve, reject) => waiting.push({ resolve, reject, until }))
  }

  /** Nobody wants it any more. */
  release(name: string): void {
    const topic = this.byChannel.get(this.keys.channel(name))
    if (topic === undefined) return
    topic.idleSince = this.monotonic()
    this.idle.delete(topic)
    this.idle.add(topic)
  }

  /** A topic is told of from this cursor on. {@link answer} tells those who wait. */
  begin(topic: Topic, last: number): void {
    topic.live = true
    topic.last = last
    this.fresh.delete(topic)
  }

  answer(topic: Topic): void {
    for (const { resolve } of topic.waiting.splice(0)) resolve()
  }

  /** Forgets the topics that nobody has wanted for a while, and answers which. */
  takeIdle(): Topic[] {
    const before = this.monotonic() - LINGER_MS
    const taken: Topic[] = []
    for (const topic of this.idle) {
      // In the order of their release: those that follow are younger.
      if (topic.idleSince === undefined || topic.idleSince > before) break
      this.idle.delete(topic)
      this.fresh.delete(topic)
      this.byChannel.delete(topic.channel)
      topic.live = false
      taken.push(topic)
    }
    return taken
  }

  /** Tells those who have waited too long, or everybody who waits, that it takes longer. */
  disappoint(all = false): void {
    const now = this.monotonic()
    for (const topic of this.fresh) {
      const overdue = topic.waiting.filter(({ until }) => all || until <= now)
      if (overdue.length === 0) continue
      topic.waiting = topic.waiting.filter((waiter) => !overdue.includes(waiter))
      if (topic.waiting.length === 0) this.release(topic.name)
      for (const { reject } of overdue) reject(unavailable('The topic cannot be subscribed to at the moment'))
    }
  }
}
