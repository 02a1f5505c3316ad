/**
 * Where what was stored becomes what is told, in the one order that Redis gives. Messages come by the subscriber's
 * connection, also those that this instance published; each names the one before it in its topic. Where one is missing, or
 * the connection was lost, the line stops: everything since the last message told is read from the log, told, and then
 * it goes on. A marker that comes round moves the line though nothing was said, and shows a message that was lost last.
 */
import type { Redis } from 'ioredis'
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Log } from '../../../core/log.ts'
import type { MaybePromise } from '../../../core/maybe-promise.ts'
import type { Completeness } from '../../../core/recoverable.ts'
import { reasonOf } from '../failures.ts'
import type { Epoch } from '../fence.ts'
import type { Primary } from '../primary.ts'
import type { Marker, Told } from './envelope.ts'
import type { Heard, Hearing } from './hearing.ts'
import { MARKER_TOPICS } from './marker-script.ts'
import type { Markers } from './markers.ts'
import type { Missed } from './missed.ts'
import type { Recent } from './recent.ts'
import type { Teller } from './teller.ts'
import type { Topic, Topics } from './topics.ts'

export interface LineOptions {
  readonly primary: Primary
  readonly topics: Topics
  readonly markers: Markers
  /** The channel that only this instance hears. */
  readonly ownChannel: string
  readonly hearing: Hearing
  readonly clock: CursorClock
  /** Microseconds for which topics are remembered that are empty now. */
  readonly horizon: number
  readonly monotonic: () => number
  readonly missed: Missed
  readonly recent: Recent
  readonly teller: Teller
  readonly log: Log
}

/** Milliseconds between two looks at what should have happened. */
const LOOK_MS = 250
/** Milliseconds between two markers, and so until a position that hears nothing moves on, or a lost message is found. */
const MARKER_INTERVAL_MS = 2000
/** Milliseconds after which the line is tried again that could not be brought level. */
const RETRY_MS = 100
/** Channels in one command. */
const MAX_CHANNELS = 500
/** Bytes that may wait while the line is brought level. Past that it begins again, from where it is. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024
/** Microseconds by which a cursor may be ahead before the log is asked whether it has such a message: a day. */
const MAX_AHEAD = 86_400_000_000
/** Milliseconds for which the line may stand before that is reported: reading what was missed takes a few. */
const STANDING_MS = 1000

export class Line {
  /** How often the line was brought level, the first time included. */
  levelled = 0
  private readonly options: LineOptions
  private readonly timer: ReturnType<typeof setInterval>
  private subscriber: Redis | undefined
  /** `stopped`: what comes is in the log; `reading`: what comes waits until the log was read; `live`: it is told. */
  private state: 'stopped' | 'reading' | 'live' = 'stopped'
  /** Grows when the line stops: what belongs to an earlier time is void. */
  private attempt = 0
  private queue: Heard[] = []
  private queuedBytes = 0
  private since = 0
  private missed = false
  private standingSince: number | undefined
  private reason = 'not level yet'
  private subscribingIn: number | undefined
  /** Monotonic milliseconds since which no further topic can be subscribed to; absent: they can. */
  private refusingSince: number | undefined
  private markerAt = 0
  private whenLive: (() => void)[] = []

  constructor(options: LineOptions) {
    this.options = options
    this.timer = setInterval(() => this.look(), LOOK_MS)
    this.timer.unref()
  }

  /** Why nothing, or not everything, is told at the moment; absent: it is. */
  get failing(): string | undefined {
    return this.isStuck ? this.standing : this.options.markers.refusal
  }

  /** Whether the line has stood for longer than it takes to read what was missed. */
  private get isStuck(): boolean {
    return this.isLong(this.standingSince)
  }

  private isLong(since: number | undefined): boolean {
    return since !== undefined && this.options.monotonic() - since > STANDING_MS
  }

  /** Why the line stands; absent: it does not. For a moment it often does. */
  get standing(): string | undefined {
    return this.standingSince === undefined ? undefined : `Messages do not come from Redis: ${this.reason}`
  }

  /** Resolves when the line is level for the first time, or again. */
  live(): Promise<void> {
    return this.state === 'live' ? Promise.resolve() : new Promise((resolve) => this.whenLive.push(resolve))
  }

  /** What is known here of the log, for a position after which a topic has lost nothing. */
  completeness(position: number): Completeness {
    const { clock, horizon, primary } = this.options
    return { completeSince: this.since, horizon, trimmed: position, last: primary.seen, now: clock.now() }
  }

  /** As `MessageLog.interest`. */
  interest(name: string, wanted: boolean): MaybePromise<void> {
    const { topics } = this.options
    if (!wanted) {
      topics.release(name)
      return
    }
    const live = topics.want(name)
    // What is wanted in the same turn of the event loop goes together.
    if (live !== undefined) queueMicrotask(() => void this.subscribeFresh())
    return live
  }

  onCommands(): void {
    if (this.state === 'stopped' && this.subscriber !== undefined) this.stop(this.reason)
  }

  onSubscriber(subscriber: Redis): void {
    this.subscriber = subscriber
    subscriber.on('messageBuffer', (channel: Buffer, data: Buffer) => {
      if (subscriber === this.subscriber) this.hear(channel.toString(), data)
    })
    this.stop('the subscription was lost')
  }

  onSilence(): void {
    this.subscriber = undefined
    this.stop('the subscription was lost')
  }

  onEpoch(epoch: Epoch, before: Epoch | undefined): void {
    if (before !== undefined && epoch.since > this.since) this.missed = true
    this.since = Math.max(this.since, epoch.since)
    if (before !== undefined) this.stop('the data in Redis has begun anew')
  }

  close(): void {
    clearInterval(this.timer)
    this.attempt++
    this.subscriber = undefined
    this.state = 'stopped'
    this.options.topics.disappoint(true)
  }

  private hear(channel: string, data: Buffer): void {
    const heard = this.options.hearing.parse(channel, data)
    if (heard === undefined) return
    if (this.state === 'live') {
      this.take(heard)
    } else if (this.state === 'reading') {
      if ('marker' in heard) this.options.markers.note(heard.marker)
      this.queue.push(heard)
      this.queuedBytes += data.length
      if (this.queuedBytes > MAX_QUEUED_BYTES) this.stop('more comes than can be read')
    } else if ('marker' in heard) {
      this.options.markers.arrive(heard.marker)
    }
  }

  private take(heard: Heard): void {
    if ('marker' in heard) this.takeMarker(heard.marker)
    else this.takeMessage(heard.topic, heard.told)
  }

  private takeMarker(marker: Marker): void {
    const { markers, primary, teller } = this.options
    if (this.isFarAhead(marker.last)) {
      this.options.hearing.ignored++
      return
    }
    primary.see(marker.last)
    if (marker.since > this.since) {
      // An instance that was away has seen messages that are lost. Somebody who came back meanwhile may have missed them.
      this.since = marker.since
      teller.gap(undefined, teller.head, Math.max(teller.head, marker.last))
    }
    if (!markers.arrive(marker)) teller.moveTo(marker.last)
  }

  private takeMessage(topic: Topic, { message, previous, retention }: Told): void {
    const { primary, recent, teller } = this.options
    const { cursor } = message
    if (!topic.live) return
    if (cursor <= topic.last) {
      this.options.hearing.ignored++
      return
    }
    if (previous > topic.last || cursor <= teller.target || this.isFarAhead(cursor)) {
      this.stop('a message is missing')
      return
    }
    topic.last = cursor
    primary.see(cursor)
    recent.add(message, retention)
    teller.add(message)
  }

  /** Such a cursor is either forged, or that of a clock gone wrong; the log knows. */
  private isFarAhead(cursor: number): boolean {
    const { clock, primary } = this.options
    return cursor > Math.max(primary.seen, clock.now()) + MAX_AHEAD
  }

  /** Stops the line, and has it brought level where that is possible now. */
  private stop(reason: string): void {
    const { log, markers, monotonic, teller } = this.options
    teller.flush()
    this.state = 'stopped'
    this.reason = reason
    this.standingSince ??= monotonic()
    this.queue = []
    this.queuedBytes = 0
    markers.clear()
    const attempt = ++this.attempt
    if (this.subscriber === undefined) return
    this.level(attempt, this.subscriber).catch((error) => {
      if (attempt !== this.attempt) return
      this.reason = reasonOf(error)
      log.debug('redis_line_stopped', { reason: this.reason })
      setTimeout(() => attempt === this.attempt && this.stop(this.reason), RETRY_MS)
    })
  }

  /** Brings the line level: subscribes, reads what was missed up to a marker, tells it, and what came after the marker. */
  private async level(attempt: number, subscriber: Redis): Promise<void> {
    const { markers, ownChannel, teller } = this.options
    const topics = this.options.topics.all()
    await subscribe(subscriber, [ownChannel, ...channelsOf(topics)])
    if (attempt !== this.attempt) return
    const cut = await new Promise<Marker>((resolve, reject) => {
      const arrived = (marker: Marker): void => {
        this.state = 'reading'
        resolve(marker)
      }
      markers.send([], arrived).catch(reject)
    })
    if (attempt !== this.attempt) return
    if (this.missed) teller.gap(undefined, teller.head, Math.max(teller.head, cut.last))
    this.missed = false
    const live = topics.filter((topic) => topic.live)
    const done = await this.options.missed.tell(live, cut.last, () => attempt === this.attempt)
    if (!done) return
    for (const topic of topics) if (!topic.live) this.begin(topic, cut.last)
    this.goOn(attempt, cut)
  }

  private goOn(attempt: number, cut: Marker): void {
    const { primary, teller } = this.options
    primary.see(cut.last)
    teller.moveTo(cut.last)
    teller.flush()
    this.state = 'live'
    this.standingSince = undefined
    this.levelled++
    const { queue } = this
    this.queue = []
    this.queuedBytes = 0
    for (const heard of queue) {
      if (attempt !== this.attempt) return
      this.take(heard)
    }
    teller.flush()
    for (const resolve of this.whenLive.splice(0)) resolve()
    void this.subscribeFresh()
  }

  /** Subscribes to topics that are wanted newly. Until a marker has come round, what comes of them is in the log. */
  private async subscribeFresh(): Promise<void> {
    const { markers, topics } = this.options
    const { attempt, subscriber } = this
    if (this.state !== 'live' || subscriber === undefined || this.subscribingIn === attempt) return
    this.subscribingIn = attempt
    try {
      for (let fresh = topics.pending(); fresh.length > 0; fresh = topics.pending()) {
        await subscribe(subscriber, channelsOf(fresh))
        if (attempt !== this.attempt) return
        await new Promise<void>((resolve, reject) => {
          const arrived = ({ last }: Marker): void => {
            this.options.teller.moveTo(last)
            for (const topic of fresh) this.begin(topic, last)
            resolve()
          }
          markers.send([], arrived).catch(reject)
        })
        if (attempt !== this.attempt) return
      }
      this.refusingSince = undefined
    } catch {
      // The connection has broken, and the next one subscribes to everything; or it is tried again with the next look.
      this.refusingSince ??= this.options.monotonic()
    } finally {
      if (this.subscribingIn === attempt) this.subscribingIn = undefined
    }
  }

  /** From now on everything of a topic after this cursor is told. */
  private begin(topic: Topic, last: number): void {
    const { recent, teller, topics } = this.options
    topics.begin(topic, last)
    recent.begin(topic.name, last)
    teller.afterwards(() => topics.answer(topic))
  }

  /**
   * Sends markers round that bring the last cursors of all topics. Whoever is behind has lost something; where nobody is,
   * the line moves on to the first marker. Not before: what is lost is read from where the line is.
   */
  private async verify(): Promise<void> {
    const { markers, teller, topics } = this.options
    const { attempt } = this
    const live = topics.all().filter((topic) => topic.live)
    let first: Marker | undefined
    for (let n = 0; n === 0 || n < live.length; n += MARKER_TOPICS) {
      const some = live.slice(n, n + MARKER_TOPICS)
      const arrived = Promise.withResolvers<Marker>()
      const lasts = await markers.send(namesOf(some), arrived.resolve)
      const marker = await arrived.promise
      if (attempt !== this.attempt) return
      first ??= marker
      if (some.some((topic, place) => topic.live && topic.last < (lasts[place] ?? 0))) {
        this.stop('a message was lost')
        return
      }
    }
    if (first !== undefined) teller.moveTo(first.last)
  }

  private look(): void {
    const { log, markers, monotonic, primary, recent, topics } = this.options
    if (markers.look()) primary.dropSubscriber('nothing comes by the subscription')
    // While nothing comes, or takes no commands, there is nothing to wait for.
    topics.disappoint(this.isStuck || this.isLong(this.refusingSince))
    if (this.state !== 'live') return
    void this.subscribeFresh()
    const idle = topics.takeIdle()
    for (const { name } of idle) recent.end(name)
    if (this.subscriber !== undefined) unsubscribe(this.subscriber, channelsOf(idle))
    const now = monotonic()
    if (now - this.markerAt < MARKER_INTERVAL_MS) return
    this.markerAt = now
    this.verify().catch((error) => log.debug('redis_marker_failed', { reason: reasonOf(error) }))
  }
}

const namesOf = (topics: readonly Topic[]): string[] => topics.map(({ name }) => name)
const channelsOf = (topics: readonly Topic[]): string[] => topics.map(({ channel }) => channel)

async function subscribe(subscriber: Redis, channels: readonly string[]): Promise<void> {
  const pending: Promise<unknown>[] = []
  for (let n = 0; n < channels.length; n += MAX_CHANNELS)
    pending.push(subscriber.subscribe(...channels.slice(n, n + MAX_CHANNELS)))
  await Promise.all(pending)
}

function unsubscribe(subscriber: Redis, channels: readonly string[]): void {
  for (let n = 0; n < channels.length; n += MAX_CHANNELS) {
    // If that fails the connection is broken, and the next one does not subscribe to them.
    subscriber.unsubscribe(...channels.slice(n, n + MAX_CHANNELS)).catch(() => {})
  }
}
