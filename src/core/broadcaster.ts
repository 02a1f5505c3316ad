/**
 * Hands messages to the topics that many share. What fits into one turn of the event loop goes out at once; a topic
 * with more members is served slice by slice, one a turn, and answers, pings and other topics pass in between.
 * Each topic keeps its order. While a topic is busy its messages gather, and the next round carries them all: the
 * runtime writes once per socket and turn, however many messages there are, and that is where throughput comes from.
 */
import type { Message } from './message.ts'
import { type Channel, type Member, SLICE_MEMBERS, type Topic } from './topic.ts'
import type { NativeTopics } from './wire.ts'

interface Delivery {
  readonly message: Message
  /** The publisher, which gets no copy. */
  readonly except: Member | undefined
  readonly done: (() => void) | undefined
}

interface Round {
  readonly deliveries: readonly Delivery[]
  readonly looped: Iterator<Member>
}

interface Busy {
  readonly topic: Topic
  readonly waiting: Delivery[]
  round: Round | undefined
}

/**
 * Bytes that one round may add to a member's socket. A quarter of the default `limits.max_pending_bytes`: a healthy
 * client must not be cut off for what gathered while others were written to.
 */
const MAX_ROUND_BYTES = 256 * 1024
/**
 * Messages that may wait for one topic. A round of 10,000 members takes about 70 ms, in which a publisher that does not
 * wait for acknowledgements could queue without end; past this it is told to wait.
 */
const MAX_WAITING = 4096

export class Broadcaster {
  private readonly busy = new Map<Topic, Busy>()
  private readonly native: NativeTopics
  private readonly onPressure: (bytes: number) => void
  private scheduled = false

  /** `onPressure` is called with the bytes of a native publish that met a full socket. */
  constructor(native: NativeTopics, onPressure: (bytes: number) => void) {
    this.native = native
    this.onPressure = onPressure
  }

  /** The topic of this name to which messages are still on their way. */
  busyTopic(name: string): Topic | undefined {
    for (const topic of this.busy.keys()) if (topic.name === name) return topic
    return undefined
  }

  /** Whether a topic takes more messages now. */
  accepts(topic: Topic): boolean {
    const busy = this.busy.get(topic)
    return busy === undefined || busy.waiting.length < MAX_WAITING
  }

  /**
   * Publishes to all members but `except`. Throws what encoding the message throws; nobody has received it then.
   * @param done called when the last member's copy was handed over; in this call where that is at once.
   */
  publish(topic: Topic, message: Message, except: Member | undefined, done?: () => void): void {
    // What cannot be encoded is the publisher's to hear: in a later turn it would take the whole topic's queue with it.
    for (const channel of topic.channels)
      if (channel?.slices.some((members) => members > 0)) message.encode(channel.encoding)
    const [one] = topic.looped.values()
    if (one !== undefined) message.encode(one.encoding)
    topic.published++
    if (except?.subscriptionTo(topic)) except.framesOut--
    const delivery = { message, except, done }
    let busy = this.busy.get(topic)
    if (busy === undefined && topic.size <= SLICE_MEMBERS) {
      this.deliverAll(topic, delivery)
      done?.()
      return
    }
    if (busy === undefined) {
      busy = { topic, waiting: [], round: undefined }
      this.busy.set(topic, busy)
      this.schedule()
    }
    busy.waiting.push(delivery)
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      try {
        this.turn()
      } finally {
        // A member that fails must not hold up the others: the round goes on behind it.
        if (this.busy.size > 0) this.schedule()
      }
    })
  }

  /** Serves about one slice's worth of members, then lets the event loop run; topics take turns. */
  private turn(): void {
    let budget = SLICE_MEMBERS
    for (const busy of this.busy.values()) {
      // It stays where it is found meanwhile: whoever hears that a message is out publishes the next one to the same topic.
      budget -= this.serve(busy, budget)
      this.busy.delete(busy.topic)
      if (busy.round !== undefined || busy.waiting.length > 0) this.busy.set(busy.topic, busy)
      if (budget <= 0) return
    }
  }

  /** Goes on with a topic's round until the budget is used up or the round has ended; answers how many it served. */
  private serve(busy: Busy, budget: number): number {
    busy.round ??= startRound(busy)
    const { topic, round } = busy
    let served = 0
    for (const channel of topic.channels) {
      while (channel !== undefined && channel.served < channel.slices.length) {
        if (served >= budget) return served
        const slice = channel.served++
        served += channel.slices[slice] as number
        if (channel.slices[slice] !== 0) {
          for (const delivery of round.deliveries) this.deliverSlice(topic, channel, slice, delivery)
        }
      }
    }
    for (let next = round.looped.next(); !next.done; next = round.looped.next()) {
      for (const { message, except } of round.deliveries) if (next.value !== except) next.value.deliver(message)
      if (++served >= budget) return served
    }
    for (const channel of topic.channels) if (channel !== undefined) endRound(channel)
    busy.round = undefined
    topic.passed((round.deliveries.at(-1) as Delivery).message)
    for (const { done } of round.deliveries) done?.()
    return Math.max(served, 1)
  }

  private deliverAll(topic: Topic, delivery: Delivery): void {
    for (const channel of topic.channels) {
      if (channel === undefined) continue
      for (let slice = 0; slice < channel.slices.length; slice++) {
        if (channel.slices[slice] !== 0) this.deliverSlice(topic, channel, slice, delivery)
      }
    }
    for (const member of topic.looped.values()) if (member !== delivery.except) member.deliver(delivery.message)
    topic.passed(delivery.message)
  }

  private deliverSlice(topic: Topic, channel: Channel, slice: number, { message, except }: Delivery): void {
    const name = topic.nativeName(channel.encoding, slice)
    const data = message.encode(channel.encoding)
    // Publishing through the sender's own socket leaves it out; through a closed one it would reach nobody.
    const own = except !== undefined && !except.closed && isIn(except, topic, channel, slice)
    const flowing = own ? except.wire.publish(name, data) : this.native.publish(name, data)
    if (!flowing) this.onPressure(data.length)
  }
}

function isIn(member: Member, topic: Topic, channel: Channel, slice: number): boolean {
  return member.encoding === channel.encoding && member.subscriptionTo(topic)?.slice === slice
}

/** Takes as many waiting messages as one round may carry. */
function startRound(busy: Busy): Round {
  let bytes = 0
  let count = 0
  while (count < busy.waiting.length) {
    bytes += sizeFor(busy.topic, (busy.waiting[count] as Delivery).message)
    if (count > 0 && bytes > MAX_ROUND_BYTES) break
    count++
  }
  return { deliveries: busy.waiting.splice(0, count), looped: busy.topic.looped.values() }
}

function sizeFor(topic: Topic, message: Message): number {
  const channel = topic.channels.find((candidate) => candidate !== undefined)
  const [one] = topic.looped.values()
  const encoding = channel?.encoding ?? one?.encoding
  return encoding === undefined ? 0 : message.encode(encoding).length
}

/** Slices that emptied at the end are forgotten, so that a crowd that left costs nothing. */
function endRound(channel: Channel): void {
  channel.served = 0
  while (channel.slices.at(-1) === 0) channel.slices.pop()
}
