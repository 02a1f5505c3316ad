/** The topics that this instance is told of, and how far it is in each. */

/** Milliseconds for which a topic that nobody wants stays subscribed: a client that changes its room often comes back. */
const LINGER_MS = 5000

export class Topic {
  readonly name: string
  readonly channel: string
  /** Everything of it up to this cursor has been told; its next message names one that is no later as the one before it. */
  last = 0
  /** It is told of. Before that it is being subscribed to. */
  live = false
  /** Monotonic milliseconds since which nobody wants it; absent while somebody does. */
  idleSince: number | undefined
  /** Those who wait for it to be live. */
  waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void; readonly until: number }[] = []

  constructor(name: string, channel: string) {
    this.name = name
    this.channel = channel
  }
}

export class Topics {
  private readonly byChannel = new Map<string, Topic>()
  private readonly idle = new Set<Topic>()
  find(channel: string): Topic | undefined {
    return this.byChannel.get(channel)
  }

  all(): Topic[] {
    return [...this.byChannel.values()]
  }

  /** Somebody wants a topic. */
  want(name: string, channel: string): Topic {
    let topic = this.byChannel.get(channel)
    if (topic === undefined) {
      topic = new Topic(name, channel)
      this.byChannel.set(channel, topic)
    }
    topic.idleSince = undefined
    this.idle.delete(topic)
    return topic
  }

  /** Nobody wants it any more. */
  release(channel: string, now: number): void {
    const topic = this.byChannel.get(channel)
    if (topic === undefined) return
    topic.idleSince = now
    this.idle.delete(topic)
    this.idle.add(topic)
  }

  /** Forgets the topics that nobody has wanted for a while, and answers which. */
  takeIdle(now: number): Topic[] {
    const taken: Topic[] = []
    for (const topic of this.idle) {
      // In the order of their release: those that follow are younger.
      if (topic.idleSince === undefined || now - topic.idleSince < LINGER_MS) break
      this.idle.delete(topic)
      this.byChannel.delete(topic.channel)
      taken.push(topic)
    }
    return taken
  }
}
