/**
 * The comings and goings that this instance hears of, in their order and whole: what was told while its subscription was
 * broken is read from the stream in which the scripts keep the last of them.
 */
import type { Log } from '../../../core/log.ts'
import { reasonOf } from '../failures.ts'
import type { Missed, News } from './news.ts'
import { isLater, NO_PLACE } from './place.ts'

export interface FeedOptions {
  /** Reads what was told after a place in the stream. */
  readonly read: (after: string) => Promise<Missed>
  /** Takes what was heard. */
  readonly take: (news: News) => void
  /** What happened in the rooms meanwhile is not known: how many are in them is to be asked. */
  readonly recount: () => void
  readonly log: Log
}

/** What may wait while what was missed is read: more than comes in that time, and no danger to the process. */
const MAX_WAITING = 10_000

export class Feed {
  private readonly options: FeedOptions
  /** Everything up to this place was heard; absent: nothing is known of it. */
  private heard: string | undefined
  private waiting: News[] | undefined
  /** Grows when the subscription breaks: what belongs to an earlier one is void. */
  private attempt = 0
  private subscribed = true
  private reading = false

  constructor(options: FeedOptions) {
    this.options = options
  }

  hear(news: News): void {
    if (this.waiting === undefined) {
      this.take(news)
      return
    }
    this.waiting.push(news)
    if (this.waiting.length <= MAX_WAITING) return
    this.goOn(false)
  }

  /** The subscription is broken: until {@link resume} nothing that comes is told. */
  interrupt(): void {
    this.attempt++
    this.subscribed = false
    this.waiting ??= []
  }

  /** Everything is subscribed to again. */
  resume(): void {
    this.subscribed = true
    void this.catchUp()
  }

  /** Tries again what failed. Called about once a second. */
  step(): void {
    if (this.subscribed && this.waiting !== undefined) void this.catchUp()
  }

  private async catchUp(): Promise<void> {
    if (this.reading || this.waiting === undefined) return
    this.reading = true
    const { attempt, heard } = this
    const { log, read } = this.options
    try {
      const missed = heard === undefined ? undefined : await read(heard)
      if (attempt !== this.attempt) return
      for (const news of missed?.news ?? []) this.take(news)
      this.goOn(missed?.isWhole === true)
    } catch (error) {
      log.debug('redis_passages_not_read', { reason: reasonOf(error) })
    } finally {
      this.reading = false
    }
  }

  private goOn(isWhole: boolean): void {
    const waiting = this.waiting ?? []
    this.waiting = undefined
    if (!isWhole) this.heard = undefined
    for (const news of waiting) this.take(news)
    if (!isWhole) this.options.recount()
  }

  private take(news: News): void {
    const { place } = news
    if (news.kind === 'passage' && place !== NO_PLACE && this.heard !== undefined && !isLater(place, this.heard)) return
    if (place !== NO_PLACE && (this.heard === undefined || isLater(place, this.heard))) this.heard = place
    this.options.take(news)
  }
}
