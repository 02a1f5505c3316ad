/**
 * Which topics of the log this process wants to be told of: those of its users and its rooms. A log that tells of
 * everything is not asked, and nothing is counted.
 */
import type { DeliveryLine } from './line.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { MessageLog } from './ports/log.ts'

interface Wanted {
  /** How many want it. */
  count: number
  /** Until the topic is told of. */
  ready: Promise<void> | undefined
}

export class Interests {
  private readonly log: Pick<MessageLog, 'interest' | 'head'>
  private readonly line: Pick<DeliveryLine, 'reached'>
  private readonly wanted = new Map<string, Wanted>()

  constructor(log: Pick<MessageLog, 'interest' | 'head'>, line: Pick<DeliveryLine, 'reached'>) {
    this.log = log
    this.line = line
  }

  /**
   * Somebody wants a topic. When this is ready the line delivers every later message of it, and what the line has passed
   * can be read. MUST be followed by one {@link release}, unless it fails.
   * @throws TidingsError (rejected) `unavailable`.
   */
  want(topic: string): MaybePromise<void> {
    if (this.log.interest === undefined) return
    const known = this.wanted.get(topic)
    if (known !== undefined) {
      known.count++
      return known.ready
    }
    const wanted: Wanted = { count: 1, ready: undefined }
    this.wanted.set(topic, wanted)
    const told = this.log.interest(topic, true)
    if (!(told instanceof Promise)) return
    wanted.ready = told
      // What was told of before it was wanted is none of its messages: the line must be past that.
      .then(() => this.line.reached(this.log.head()))
      .then(
        () => {
          wanted.ready = undefined
        },
        (error) => {
          if (this.wanted.get(topic) === wanted) this.wanted.delete(topic)
          throw error
        },
      )
    return wanted.ready
  }

  /** Somebody does not want a topic any more. */
  release(topic: string): void {
    const wanted = this.wanted.get(topic)
    if (wanted === undefined || --wanted.count > 0) return
    this.wanted.delete(topic)
    this.log.interest?.(topic, false)
  }
}
