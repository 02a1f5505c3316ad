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
import { explainRefusal, isDemoted, messageOf, unavailable } from '../failures.ts'
import type { Epoch } from '../fence.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { type Marker, parseMarker, parseTold, type Told } from './envelope.ts'
import { MARKER, MARKER_TOPICS } from './marker-script.ts'
import { Markers } from './markers.ts'
import type { Reader } from './reader.ts'
import type { Recent } from './recent.ts'
import type { Teller } from './teller.ts'
import { type Topic, Topics } from './topics.ts'

export interface LineOptions {
  readonly primary: Primary
  readonly keys: Keys
  /** The channel that only this instance hears. */
  readonly ownChannel: string
  readonly clock: CursorClock
  readonly monotonic: () => number
  readonly reader: Reader
  readonly recent: Recent
  readonly teller: Teller
  readonly log: Log
  /** The connection that a message came from, where it is one of this instance's that was not told yet. */
  readonly originOf: (id: string) => string | undefined
  /** A larger message on the bus is none of ours. */
  readonly maxMessageBytes: number
  /** Redis takes writes. */
  readonly onWritable: () => void
}

/** Milliseconds between two looks at what should have happened. */
const LOOK_MS = 250
/** Milliseconds between two markers, and so until a position that hears nothing moves on, or a lost message is found. */
const MARKER_INTERVAL_MS = 2000
/** Milliseconds after which the line is tried again that could not be brought level. */
const RETRY_MS = 100
/** Milliseconds for which somebody waits for a topic to be live. */
const INTEREST_TIMEOUT_MS = 3000
/** Channels in one command. */
const MAX_CHANNELS = 500
/** Messages told at once while the line is brought level: others have their turn in between. */
const PAGE = 500
/** Bytes that may wait while the line is brought level. Past that it begins again, from where it is. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024
/** Microseconds by which a cursor may be ahead before the log is asked whether it has such a message: a day. */
const MAX_AHEAD = 86_400_000_000
/** Milliseconds for which the line may stand before that is reported: reading what was missed takes a few. */
const STANDING_MS = 1000

type Heard = { readonly topic: Topic; readonly told: Told } | { readonly marker: Marker }

export class Line {
  /** Bus messages that were none of ours. */
  ignored = 0
  /** How often the line was brought level, the first time included. */
  levelled = 0
  private readonly options: LineOptions
  private readonly topics = new Topics()
  private readonly fresh = new Set<Topic>()
  private readonly markers = new Markers()
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
  private refusal: string | undefined
  private standingSince: number | undefined
  private reason = 'not level yet'
  private subscribingIn: number | undefined
  private markerAt = 0
  private suspectedAt = Number.NEGATIVE_INFINITY
  private whenLive: (() => void)[] = []

  constructor(options: LineOptions) {
    this.options = options
    this.timer = setInterval(() => this.look(), LOOK_MS)
    this.timer.unref()
  }

  /** Why nothing, or not everything, is told at the moment; absent: it is. */
  get failing(): string | undefined {
    const { standingSince } = this
    const stands = standingSince !== undefined && this.options.monotonic() - standingSince > STANDING_MS
    return stands ? `Messages do not come from Redis: ${this.reason}` : this.refusal
  }

  /** Resolves when the line is level for the first time, or again. */
  live(): Promise<void> {
    return this.state === 'live' ? Promise.resolve() : new Promise((resolve) => this.whenLive.push(resolve))
  }

  /** As `MessageLog.interest`. */
  interest(name: string, wanted: boolean): MaybePromise<void> {
    const { keys, monotonic } = this.options
    const channel = keys.channel(name)
    if (!wanted) {
      this.topics.release(channel, monotonic())
      return
    }
    const topic = this.topics.want(name, channel)
    if (topic.live) return
    if (this.fresh.size === 0) queueMicrotask(() => void this.subscribeFresh())
    this.fresh.add(topic)
    const until = monotonic() + INTEREST_TIMEOUT_MS
    return new Promise((resolve, reject) => topic.waiting.push({ resolve, reject, until }))
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
    for (const topic of this.topics.all()) this.disappoint(topic, Number.POSITIVE_INFINITY)
  }

  private hear(channel: string, data: Buffer): void {
    const heard = this.parse(channel, data)
    if (heard === undefined) return
    if (this.state === 'live') {
      this.take(heard)
    } else if (this.state === 'reading') {
      this.queue.push(heard)
      this.queuedBytes += data.length
      if (this.queuedBytes > MAX_QUEUED_BYTES) this.stop('more comes than can be read')
    } else if ('marker' in heard) {
      this.markers.arrive(heard.marker)
    }
  }

  private parse(channel: string, data: Buffer): Heard | undefined {
    const { maxMessageBytes, ownChannel, primary } = this.options
    const topic = this.topics.find(channel)
    const told = topic && data.length <= maxMessageBytes ? parseTold(topic.name, data.toString()) : undefined
    const marker = channel === ownChannel && data.length <= maxMessageBytes ? parseMarker(data.toString()) : undefined
    const epoch = told?.epoch ?? marker?.epoch
    if (epoch === undefined) {
      // What comes of a topic that was just released is nobody's fault.
      if (topic !== undefined || channel === ownChannel) this.ignored++
      return undefined
    }
    if (epoch !== primary.epoch?.name) {
      this.suspect()
      return undefined
    }
    if (marker !== undefined) return { marker }
    return topic && told && { topic, told }
  }

  private take(heard: Heard): void {
    if ('marker' in heard) this.takeMarker(heard.marker)
    else this.takeMessage(heard.topic, heard.told)
  }

  private takeMarker(marker: Marker): void {
    const { primary, teller } = this.options
    primary.see(marker.last)
    if (marker.since > this.since) {
      // An instance that was away has seen messages that are lost. Somebody who came back meanwhile may have missed them.
      this.since = marker.since
      teller.gap(undefined, teller.head, Math.max(teller.head, marker.last))
    }
    teller.moveTo(marker.last)
    this.markers.arrive(marker)
  }

  private takeMessage(topic: Topic, { message, previous, retention }: Told): void {
    const { clock, primary, recent, teller } = this.options
    const { cursor } = message
    if (!topic.live) return
    if (cursor <= topic.last) {
      this.ignored++
      return
    }
    const odd = cursor <= teller.target || cursor > Math.max(primary.seen, clock.now()) + MAX_AHEAD
    if (previous > topic.last || odd) {
      this.stop('a message is missing')
      return
    }
    topic.last = cursor
    primary.see(cursor)
    recent.add(message, retention)
    teller.add(message)
  }

  /** Somebody believes in another epoch. If he is right, the line has to begin anew in it. */
  private suspect(): void {
    const now = this.options.monotonic()
    this.ignored++
    if (now - this.suspectedAt < MARKER_INTERVAL_MS) return
    this.suspectedAt = now
    // If that fails the connection is broken, and the next one learns the epoch in any case.
    this.options.primary.renew().catch(() => {})
  }

  /** Stops the line, and has it brought level where that is possible now. */
  private stop(reason: string): void {
    const { log, monotonic, teller } = this.options
    teller.flush()
    this.state = 'stopped'
    this.reason = reason
    this.standingSince ??= monotonic()
    this.queue = []
    this.queuedBytes = 0
    this.markers.clear()
    const attempt = ++this.attempt
    if (this.subscriber === undefined) return
    this.level(attempt, this.subscriber).catch((error) => {
      if (attempt !== this.attempt) return
      this.reason = messageOf(error)
      log.debug('redis_line_stopped', { reason: this.reason })
      setTimeout(() => attempt === this.attempt && this.stop(this.reason), RETRY_MS)
    })
  }

  /** Brings the line level: subscribes, reads what was missed up to a marker, tells it, and what came after the marker. */
  private async level(attempt: number, subscriber: Redis): Promise<void> {
    const { ownChannel, teller } = this.options
    const topics = this.topics.all()
    await subscribe(subscriber, [ownChannel, ...topics.map(({ channel }) => channel)])
    if (attempt !== this.attempt) return
    const cut = await new Promise<Marker>((resolve, reject) => {
      const arrived = (marker: Marker): void => {
        this.state = 'reading'
        resolve(marker)
      }
      this.round([], arrived).catch(reject)
    })
    if (attempt !== this.attempt) return
    const moved = await this.movedOf(topics.filter(({ live }) => live))
    if (attempt !== this.attempt) return
    if (this.missed) teller.gap(undefined, teller.head, Math.max(teller.head, cut.last))
    this.missed = false
    if (!(await this.readMissed(attempt, moved, cut.last))) return
    for (const topic of topics) if (!topic.live) this.begin(topic, cut.last)
    this.goOn(attempt, cut)
  }

  /** Those topics that have had messages which were not told, with their last cursors. */
  private async movedOf(topics: readonly Topic[]): Promise<Map<string, { topic: Topic; last: number }>> {
    const moved = new Map<string, { topic: Topic; last: number }>()
    for (let n = 0; n < topics.length; n += MARKER_TOPICS) {
      const some = topics.slice(n, n + MARKER_TOPICS)
      const lasts = await this.round(some, () => {})
      for (const [place, topic] of some.entries()) {
        const last = lasts[place] ?? 0
        if (last > topic.last) moved.set(topic.name, { topic, last })
      }
    }
    return moved
  }

  /** Tells what the log has of these topics up to a cursor; false where the line was stopped meanwhile. */
  private async readMissed(
    attempt: number,
    moved: ReadonlyMap<string, { topic: Topic; last: number }>,
    upTo: number,
  ): Promise<boolean> {
    const { originOf, reader, recent, teller } = this.options
    const rows = reader.rows([...moved.keys()], teller.head, upTo, PAGE)
    for (let more = moved.size > 0; more; ) {
      const page = await rows.read(PAGE, () => true)
      if (attempt !== this.attempt) return false
      more = page.length === PAGE
      const torn = new Set<string>()
      for (const { message, previous } of page) {
        const topic = moved.get(message.topic)?.topic
        if (topic === undefined) continue
        if (previous > topic.last) {
          torn.add(topic.name)
          recent.begin(topic.name, previous)
        }
        topic.last = message.cursor
        recent.add(message, undefined)
      }
      if (!more)
        for (const { topic, last } of moved.values()) if (last <= upTo && this.lost(topic, last)) torn.add(topic.name)
      if (torn.size > 0) teller.gap([...torn], teller.head, page.at(-1)?.message.cursor ?? upTo)
      for (const { message } of page) teller.add({ ...message, origin: originOf(message.id) })
      teller.flush()
    }
    return true
  }

  /** Whether a topic had messages up to a cursor that the log does not have any more. Then it goes on from there. */
  private lost(topic: Topic, last: number): boolean {
    if (topic.last >= last) return false
    topic.last = last
    this.options.recent.begin(topic.name, last)
    return true
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
    const { attempt, subscriber } = this
    if (this.state !== 'live' || subscriber === undefined || this.subscribingIn === attempt) return
    this.subscribingIn = attempt
    try {
      while (this.fresh.size > 0 && attempt === this.attempt) {
        const topics = [...this.fresh]
        await subscribe(
          subscriber,
          topics.map(({ channel }) => channel),
        )
        if (attempt !== this.attempt) return
        await new Promise<void>((resolve, reject) => {
          const arrived = ({ last }: Marker): void => {
            for (const topic of topics) this.begin(topic, last)
            resolve()
          }
          this.round([], arrived).catch(reject)
        })
      }
    } catch {
      // The connection has broken, and the next one subscribes to everything; or it is tried again with the next look.
    } finally {
      if (this.subscribingIn === attempt) this.subscribingIn = undefined
    }
  }

  /** From now on everything of a topic after this cursor is told. */
  private begin(topic: Topic, last: number): void {
    const { recent, teller } = this.options
    topic.live = true
    topic.last = last
    this.fresh.delete(topic)
    recent.begin(topic.name, last)
    teller.afterwards(() => {
      for (const { resolve } of topic.waiting.splice(0)) resolve()
    })
  }

  /** Sends a marker round. @returns the last cursors of the topics; the marker may come before or after that. */
  private async round(topics: readonly Topic[], arrived: (marker: Marker) => void): Promise<number[]> {
    const { clock, keys, monotonic, ownChannel, primary } = this.options
    const { name, round } = this.markers.expect(monotonic(), arrived)
    const names = topics.map((topic) => topic.name)
    const reply = await primary.ask((redis, epoch) =>
      MARKER.run(redis, [keys.log], [epoch, clock.now(), ownChannel, name, ...names]),
    )
    round.replied = true
    const [failure = '', ...lasts] = reply as string[]
    this.refusal = failure === '' ? undefined : explainRefusal(failure)
    if (failure === '') this.options.onWritable()
    else if (isDemoted(failure)) primary.dropCommands(failure)
    return lasts.map(Number)
  }

  /** Sends markers round that bring the last cursors of all topics: whoever is behind then has lost something. */
  private async verify(): Promise<void> {
    const { attempt } = this
    const live = this.topics.all().filter((topic) => topic.live)
    for (let n = 0; n === 0 || n < live.length; n += MARKER_TOPICS) {
      const some = live.slice(n, n + MARKER_TOPICS)
      let come = false
      let lasts: readonly number[] | undefined
      const compare = (): void => {
        if (!come || lasts === undefined || attempt !== this.attempt) return
        const behind = some.some((topic, place) => topic.live && topic.last < (lasts?.[place] ?? 0))
        if (behind) this.stop('a message was lost')
      }
      const arrived = (): void => {
        come = true
        compare()
      }
      lasts = await this.round(some, arrived)
      compare()
      if (attempt !== this.attempt) return
    }
  }

  private look(): void {
    const { log, monotonic, primary, recent } = this.options
    const now = monotonic()
    if (this.markers.overdue(now)) primary.dropSubscriber('nothing comes by the subscription')
    for (const topic of this.fresh) this.disappoint(topic, now)
    if (this.state !== 'live') return
    if (this.fresh.size > 0) void this.subscribeFresh()
    const idle = this.topics.takeIdle(now)
    for (const topic of idle) {
      topic.live = false
      this.fresh.delete(topic)
      recent.end(topic.name)
    }
    if (this.subscriber !== undefined) unsubscribe(this.subscriber, idle)
    if (now - this.markerAt < MARKER_INTERVAL_MS) return
    this.markerAt = now
    this.verify().catch((error) => log.debug('redis_marker_failed', { reason: messageOf(error) }))
  }

  /** Those who have waited too long for a topic are told so. */
  private disappoint(topic: Topic, now: number): void {
    const overdue = topic.waiting.filter(({ until }) => until <= now)
    if (overdue.length === 0) return
    topic.waiting = topic.waiting.filter(({ until }) => until > now)
    for (const { reject } of overdue) reject(unavailable('The topic cannot be subscribed to at the moment'))
    if (topic.waiting.length === 0) this.topics.release(topic.channel, this.options.monotonic())
  }
}

async function subscribe(subscriber: Redis, channels: readonly string[]): Promise<void> {
  const pending: Promise<unknown>[] = []
  for (let n = 0; n < channels.length; n += MAX_CHANNELS)
    pending.push(subscriber.subscribe(...channels.slice(n, n + MAX_CHANNELS)))
  await Promise.all(pending)
}

function unsubscribe(subscriber: Redis, topics: readonly Topic[]): void {
  for (let n = 0; n < topics.length; n += MAX_CHANNELS) {
    const channels = topics.slice(n, n + MAX_CHANNELS).map(({ channel }) => channel)
    // If that fails the connection is broken, and the next one does not subscribe to them.
    subscriber.unsubscribe(...channels).catch(() => {})
  }
}
