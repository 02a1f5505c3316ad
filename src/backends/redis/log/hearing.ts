/** Sorts what comes by the subscriber's connection: what the line takes, what goes the short way, what is none of ours. */
import type { RedisBus } from '../bus.ts'
import { isBusText } from '../bus-envelope.ts'
import type { RedisAttendances } from '../directory/attendances.ts'
import { isNews } from '../directory/news.ts'
import type { Primary } from '../primary.ts'
import { type Marker, parseMarker, parseTold, type Told } from './envelope.ts'
import type { Teller } from './teller.ts'
import type { Topic, Topics } from './topics.ts'

/** What concerns the line: a stored message, or a marker. */
export type Heard = { readonly topic: Topic; readonly told: Told } | { readonly marker: Marker }

export interface HearingOptions {
  readonly primary: Primary
  readonly topics: Topics
  readonly teller: Teller
  /** Where what is stored nowhere goes; it is told whether the line stands or not. */
  readonly bus: RedisBus
  /** Where it goes who came and went. */
  readonly attendances: RedisAttendances
  /** The channel that only this instance hears. */
  readonly ownChannel: string
  /** A larger message is none of ours. */
  readonly maxMessageBytes: number
  readonly monotonic: () => number
}

/** Milliseconds between two looks at the epoch because somebody believes in another one. */
const SUSPICION_MS = 2000

export class Hearing {
  /** Messages that were none of ours. */
  ignored = 0
  private readonly options: HearingOptions
  private suspectedAt = Number.NEGATIVE_INFINITY

  constructor(options: HearingOptions) {
    this.options = options
  }

  parse(channel: string, data: Buffer): Heard | undefined {
    const { attendances, bus, maxMessageBytes, ownChannel, primary, teller, topics } = this.options
    const topic = topics.find(channel)
    // What comes of a topic that was just released is nobody's fault.
    if (topic === undefined && channel !== ownChannel) return undefined
    const text = data.length <= maxMessageBytes ? data.toString() : ''
    const isOfRooms = isNews(text)
    if (isOfRooms || isBusText(text)) {
      // What was stored before it is told before it.
      teller.flush()
      const heard = isOfRooms ? attendances.hear(topic?.name, text) : bus.hear(topic?.name, text)
      if (!heard) this.ignored++
      return undefined
    }
    const told = topic && parseTold(topic.name, text)
    const marker = topic === undefined ? parseMarker(text) : undefined
    const epoch = told?.epoch ?? marker?.epoch
    if (epoch === undefined) {
      this.ignored++
      return undefined
    }
    if (epoch !== primary.epoch?.name) {
      this.suspect()
      return undefined
    }
    if (marker !== undefined) return { marker }
    return topic && told && { topic, told }
  }

  /** Somebody believes in another epoch. If he is right, the line has to begin anew in it. */
  private suspect(): void {
    const now = this.options.monotonic()
    this.ignored++
    if (now - this.suspectedAt < SUSPICION_MS) return
    this.suspectedAt = now
    // If that fails the connection is broken, and the next one learns the epoch in any case.
    this.options.primary.renew().catch(() => {})
  }
}
