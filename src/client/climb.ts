/**
 * The way back up: a client on a lesser transport looks now and then whether WebSockets get through again. The look is a
 * socket without credentials, which the server refuses: nothing of the session is at stake before it is known to work.
 */
import type { Clock, Environment } from './environment.ts'
import { probeWebSocket } from './transports/websocket.ts'

/** The first look: a proxy that was restarting is back by then. */
const FIRST_MS = 30_000
/** Looks grow no rarer: a laptop that was carried home is noticed within a coffee. */
const LONGEST_MS = 600_000
/** A look that has no answer by then has failed. */
const ANSWER_MS = 10_000
/** How long until the next try where something under way would be lost by moving. */
const BUSY_MS = 1000

export interface ClimbEvents {
  /** WebSockets work. @returns false where the move has to wait for something. */
  move(): boolean
}

export class Climb {
  readonly #environment: Environment
  readonly #url: string
  readonly #events: ClimbEvents
  #looks = 0
  #due: number | undefined
  #timer: unknown
  #cancel: (() => void) | undefined

  constructor(environment: Environment, url: string, events: ClimbEvents) {
    this.#environment = environment
    this.#url = url
    this.#events = events
  }

  /** Looks when it is time for it. A connection that is lost and comes back meanwhile does not put it off. */
  wait(): void {
    const now = this.#clock.now()
    this.#due ??= now + Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#looks++, 10))
    this.#set(() => this.#look(), this.#due - now)
  }

  /** The best works: whoever falls from it begins with the first look. */
  arrived(): void {
    this.#looks = 0
    this.#due = undefined
  }

  stop(): void {
    this.#clock.clear(this.#timer)
    this.#cancel?.()
    this.#cancel = undefined
  }

  #look(): void {
    this.#due = undefined
    this.#set(() => this.#cancel?.(), ANSWER_MS)
    this.#cancel = probeWebSocket(this.#environment, this.#url, (works) => {
      if (this.#cancel === undefined) return
      this.#cancel = undefined
      this.#clock.clear(this.#timer)
      if (works) this.#move()
      else this.wait()
    })
  }

  #move(): void {
    if (!this.#events.move()) this.#set(() => this.#move(), BUSY_MS)
  }

  #set(run: () => void, ms: number): void {
    this.#clock.clear(this.#timer)
    this.#timer = this.#clock.set(run, ms)
  }

  get #clock(): Clock {
    return this.#environment.clock
  }
}
