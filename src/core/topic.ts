/**
 * A topic that many share, cut into slices. The runtime writes to all subscribers of a native topic in one go, about 7
 * microseconds each, and nothing else runs meanwhile; so a topic is several native topics of a bounded size.
 */
import { ENCODINGS, type Encoding } from '../protocol/encoding.ts'
import type { Message } from './message.ts'
import type { Wire } from './wire.ts'

/**
 * Members of one slice. Measured with a broadcast to 10,000 members: the same deliveries per second for slices of 125 to
 * 1,000, and others wait about 2 ms for a slice of 250.
 */
export const SLICE_MEMBERS = 250

/** The slice number of a session that is not natively subscribed. */
export const LOOPED = -1

/** The slice number of a member that is sent nothing until it has read what waits for it. */
const LAGGING = -2

/** Who can be in a topic: a session, as far as a topic knows it. */
export interface Member {
  readonly wire: Wire
  /** Whether it is subscribed to native topics now; else it is written to one by one. */
  readonly native: boolean
  readonly encoding: Encoding
  readonly closed: boolean
  /** The topics it is in. */
  subscriptions: Subscription[]
  /** Frames sent to it alone, less those of its topics that it published itself. */
  framesOut: number
  subscriptionTo(topic: Topic): Subscription | undefined
  /** Writes a message to it alone. */
  deliver(message: Message): void
}

/** What can be gone through while it grows and shrinks. */
export interface Members {
  values(): Iterable<Member> & Iterator<Member>
}

/** A member's place in a topic. */
export interface Subscription {
  readonly topic: Topic
  /** Which slice of the topic's channel it is in; `LOOPED` where it is not natively subscribed. */
  readonly slice: number
  /** The topic's count of messages when the member came, for its own counter of frames. */
  readonly from: number
  /** The position at which the member joined: what is older is not for it. */
  readonly since: number
}

/** Members with one encoding: they receive the same bytes. */
export interface Channel {
  readonly encoding: Encoding
  /** Members of each slice. */
  readonly slices: number[]
  /** Slices that the present round of a broadcast has reached; newcomers are placed behind it. */
  served: number
}

export class Topic {
  readonly name: string
  /** The room whose topic this is. */
  readonly room: string | undefined
  /** The topic of the log where its messages are kept; absent: they are not. */
  readonly log: string | undefined
  readonly channels: (Channel | undefined)[] = []
  private readonly singles = new Set<Member>()
  /** Whether a member that does not keep up skips to the newest. */
  readonly latestOnly: boolean
  /** Messages handed to this topic so far. */
  published = 0
  private members = 0
  /** Members that lag, with the count of messages at which they were taken off. Made when the first one does. */
  private lagging: Map<Member, number> | undefined
  private newest: Message | undefined

  constructor(name: string, room?: string, log?: string, latestOnly = false) {
    this.name = name
    this.room = room
    this.log = log
    this.latestOnly = latestOnly
  }

  /** Members of this topic. */
  get size(): number {
    return this.members
  }

  has(member: Member): boolean {
    return member.subscriptionTo(this) !== undefined
  }

  /** Members that are written to one by one. */
  get looped(): Members {
    return this.singles
  }

  /**
   * Adds a member. While a broadcast goes round, a newcomer is placed where the round has not been yet: a session
   * joined before a message was fully out receives it, and its position says so.
   */
  subscribe(member: Member, since = 0): Subscription {
    this.members++
    let slice = LOOPED
    if (member.native) {
      slice = this.place(this.channelFor(member.encoding))
      member.wire.subscribe(this.nativeName(member.encoding, slice))
    } else {
      this.singles.add(member)
    }
    const subscription: Subscription = { topic: this, slice, from: this.published, since }
    member.subscriptions.push(subscription)
    return subscription
  }

  unsubscribe(member: Member): void {
    const subscription = member.subscriptionTo(this)
    if (subscription === undefined) return
    this.members--
    member.subscriptions = member.subscriptions.filter((other) => other !== subscription)
    member.framesOut += this.published - subscription.from
    if (subscription.slice === LAGGING) this.endLag(member)
    else this.withdraw(member, subscription)
  }

  /** Sends a member nothing any more until it recovers; false where it is sent nothing already, or is not in. */
  lag(member: Member): boolean {
    const subscription = member.subscriptionTo(this)
    if (subscription === undefined || subscription.slice === LAGGING) return false
    this.withdraw(member, subscription)
    member.subscriptions = member.subscriptions.map((other) =>
      other === subscription ? { ...subscription, slice: LAGGING } : other,
    )
    this.lagging ??= new Map()
    this.lagging.set(member, this.published)
    return true
  }

  /** Sends to a member again that lagged; answers the newest of what it has missed. */
  recover(member: Member): Message | undefined {
    const subscription = member.subscriptionTo(this)
    if (subscription?.slice !== LAGGING) return undefined
    const missed = this.published - (this.lagging?.get(member) ?? this.published)
    const { newest } = this
    this.unsubscribe(member)
    this.subscribe(member, subscription.since)
    return missed > 0 ? newest : undefined
  }

  /** A message has gone out to all members: kept as long as somebody lags. */
  passed(message: Message): void {
    if (this.lagging !== undefined) this.newest = message
  }

  /**
   * Places a member anew after it became native or ceased to be. It comes behind a round that is under way, so that a
   * message which passed it by is handed to it after all.
   */
  readmit(member: Member): void {
    const subscription = member.subscriptionTo(this)
    if (subscription === undefined || subscription.slice === LAGGING) return
    this.unsubscribe(member)
    this.subscribe(member, subscription.since)
  }

  /** The native topic of one slice. */
  nativeName(encoding: Encoding, slice: number): string {
    return `${encoding.index}${this.name}\n${slice}`
  }

  /** Takes a member off where it is written to. */
  private withdraw(member: Member, { slice }: Subscription): void {
    if (slice === LOOPED) {
      this.singles.delete(member)
      return
    }
    member.wire.unsubscribe(this.nativeName(member.encoding, slice))
    const { slices } = this.channelFor(member.encoding)
    slices[slice] = (slices[slice] as number) - 1
  }

  private endLag(member: Member): void {
    // What it was not sent does not count as sent.
    member.framesOut -= this.published - (this.lagging?.get(member) ?? this.published)
    this.lagging?.delete(member)
    if (this.lagging?.size !== 0) return
    this.lagging = undefined
    this.newest = undefined
  }

  private channelFor(encoding: Encoding): Channel {
    let channel = this.channels[encoding.index]
    if (channel === undefined) {
      channel = { encoding: ENCODINGS[encoding.index] as Encoding, slices: [], served: 0 }
      this.channels[encoding.index] = channel
    }
    return channel
  }

  private place(channel: Channel): number {
    let slice = channel.served
    while ((channel.slices[slice] ?? 0) >= SLICE_MEMBERS) slice++
    channel.slices[slice] = (channel.slices[slice] ?? 0) + 1
    return slice
  }
}

/** The name of a room's topic. */
export function roomTopic(room: string): string {
  return `r:${room}`
}

/** The native topic of a user's connections with one encoding. */
export function userTopic(encoding: Encoding, userId: string): string {
  return `${encoding.index}u:${userId}`
}

/** The native topic of a device's connections with one encoding; ids hold no control characters, so the line feed parts them. */
export function deviceTopic(encoding: Encoding, userId: string, deviceId: string): string {
  return `${encoding.index}d:${userId}\n${deviceId}`
}
