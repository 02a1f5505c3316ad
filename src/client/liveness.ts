/**
 * Notices that a connection is dead though nobody said so. A browser shows no protocol pings, so a quiet WebSocket is asked
 * with a `ping` frame; an event stream has a heartbeat of its own and is only listened to.
 */
import type { Clock } from './environment.ts'

export interface Heartbeat {
  readonly interval_ms: number
  readonly timeout_ms: number
}

/** After a wake-up nobody wants to wait for the heartbeat: a living server answers well within this. */
const WAKE_ANSWER_MS = 5000

export interface LivenessEvents {
  /** Asks for a sign of life; absent where the transport has its own heartbeat. */
  readonly ping: (() => void) | undefined
  /** Nothing came for too long. Called once. */
  readonly dead: () => void
}

export class Liveness {
  readonly #clock: Clock
  readonly #heartbeat: Heartbeat
  readonly #events: LivenessEvents
  #lastSeen: number
  /** When it is dead, unless something comes first. */
  #deadline: number | undefined
  #timer: unknown

  constructor(clock: Clock, heartbeat: Heartbeat, events: LivenessEvents) {
    this.#clock = clock
    this.#heartbeat = heartbeat
    this.#events = events
    this.#lastSeen = clock.now()
    this.#wait(heartbeat.interval_ms)
  }

  /** Something came. Cheap: no timer is touched. */
  seen(): void {
    this.#lastSeen = this.#clock.now()
    this.#deadline = undefined
  }

  /** The machine may have slept, or the network may be another: find out now. */
  wake(): void {
    if (this.#events.ping !== undefined) this.#ask(WAKE_ANSWER_MS)
    else if (this.#silent() > this.#heartbeat.interval_ms + WAKE_ANSWER_MS) this.#die()
  }

  stop(): void {
    this.#clock.clear(this.#timer)
  }

  #look(): void {
    if (this.#deadline !== undefined && this.#clock.now() >= this.#deadline) {
      this.#die()
      return
    }
    const silent = this.#silent()
    const { interval_ms, timeout_ms } = this.#heartbeat
    // Timers of a page in the background come late: silence alone proves nothing before something was asked for.
    if (silent >= interval_ms) this.#ask(Math.max(timeout_ms - silent, WAKE_ANSWER_MS))
    else this.#wait(interval_ms - silent)
  }

  #ask(patience: number): void {
    this.#deadline = this.#clock.now() + patience
    this.#events.ping?.()
    this.#wait(patience)
  }

  #wait(ms: number): void {
    this.#clock.clear(this.#timer)
    this.#timer = this.#clock.set(() => this.#look(), ms)
  }

  #silent(): number {
    return this.#clock.now() - this.#lastSeen
  }

  #die(): void {
    this.stop()
    this.#events.dead()
  }
}
