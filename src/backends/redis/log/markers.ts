/**
 * Markers: asked for by the connection for commands, come round by the one for subscriptions. When one arrives, everything
 * has arrived that was published before it was asked for.
 */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import { explainRefusal, isDemoted } from '../failures.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import type { Marker } from './envelope.ts'
import { MARKER } from './marker-script.ts'

export interface MarkersOptions {
  readonly primary: Primary
  readonly keys: Keys
  /** The channel that only this instance hears. */
  readonly ownChannel: string
  readonly clock: CursorClock
  /** Redis takes writes. */
  readonly onWritable: () => void
}

/** Called in the turn in which a marker arrives, before anything that was published after it. */
export type Arrived = (marker: Marker) => void

interface Round {
  readonly arrived: Arrived
  sent: boolean
  /** It has arrived, and what it says waits for its turn. */
  come: boolean
  /** Looks since it was sent. */
  looks: number
}

/**
 * Looks for which a marker may be under way: two seconds of the line's. Past that nothing comes by the subscriber's
 * connection. They are counted, and no time is measured: a process that stood still has not read what has come.
 */
const MAX_LOOKS = 8

export class Markers {
  private readonly options: MarkersOptions
  private readonly rounds = new Map<string, Round>()
  private counter = 0
  private why: string | undefined

  constructor(options: MarkersOptions) {
    this.options = options
  }

  /** Why Redis takes no writes, as the last marker has found; absent: it does. */
  get refusal(): string | undefined {
    return this.why
  }

  /**
   * Sends a marker round. It may arrive before this answers, or after.
   * @returns the last cursors of the topics when it was sent.
   */
  async send(topics: readonly string[], arrived: Arrived): Promise<number[]> {
    const { clock, keys, onWritable, ownChannel, primary } = this.options
    const name = `r${++this.counter}`
    const round = { arrived, sent: false, come: false, looks: 0 }
    this.rounds.set(name, round)
    try {
      const reply = await primary.ask((redis, epoch) =>
        MARKER.run(redis, [keys.log], [epoch, clock.now(), ownChannel, name, ...topics]),
      )
      round.sent = true
      const [failure = '', ...lasts] = reply as string[]
      this.why = failure === '' ? undefined : explainRefusal(failure)
      if (failure === '') onWritable()
      else if (isDemoted(failure)) primary.dropCommands(failure)
      return lasts.map(Number)
    } catch (error) {
      this.rounds.delete(name)
      throw error
    }
  }

  /**
   * A marker has arrived.
   * @returns false where nobody expects it: it is one of a stored batch, or of an earlier time.
   */
  arrive(marker: Marker): boolean {
    const round = this.rounds.get(marker.name)
    if (round === undefined) return false
    this.rounds.delete(marker.name)
    round.arrived(marker)
    return true
  }

  /** A marker has arrived while the log is read, which may take its time: it is handed on by {@link arrive} later. */
  note(marker: Marker): void {
    const round = this.rounds.get(marker.name)
    if (round !== undefined) round.come = true
  }

  /** Called at each look of the line. @returns whether one that Redis has sent off does not arrive. */
  look(): boolean {
    let overdue = false
    for (const round of this.rounds.values()) {
      if (round.sent && !round.come && ++round.looks > MAX_LOOKS) overdue = true
    }
    return overdue
  }

  /** Forgets those that are under way. */
  clear(): void {
    this.rounds.clear()
  }
}
