/**
 * What a script answers comes by one connection and what was told before it by another. Whoever needs both waits until
 * something has come by the second that the script told last.
 */
import type { Count } from './news.ts'

/** Milliseconds for which an answer waits for what was told: it comes at the same time, or with a connection that broke, never. */
const PATIENCE_MS = 1000

type Take = (participants: number, isTold: boolean) => void

export class Echo {
  readonly token: string
  private readonly take: Take
  private readonly arrived = Promise.withResolvers<void>()
  private answer: { readonly participants: number; readonly isTold: boolean; readonly at: number } | undefined
  private readonly now: () => number

  constructor(token: string, take: Take, now: () => number) {
    this.token = token
    this.take = take
    this.now = now
  }

  /** Resolves when what was told has come, or does not come any more: then the answer itself is taken. */
  arrival(participants: number, isTold: boolean): Promise<void> {
    this.answer = { participants, isTold, at: this.now() }
    return this.arrived.promise
  }

  arrive(participants: number, isTold: boolean): void {
    this.take(participants, isTold)
    this.arrived.resolve()
  }

  /** Whether it has waited too long, and is over with that. */
  giveUp(before: number): boolean {
    if (this.answer === undefined || this.answer.at > before) return false
    this.arrive(this.answer.participants, this.answer.isTold)
    return true
  }
}

export class Echoes {
  private readonly now: () => number
  private readonly waiting = new Map<string, Echo>()
  private counter = 0

  /** @param now monotonic milliseconds. */
  constructor(now: () => number) {
    this.now = now
  }

  /** @param take called in the turn in which it comes, once. */
  expect(take: Take): Echo {
    const echo = new Echo(`${++this.counter}`, take, this.now)
    this.waiting.set(echo.token, echo)
    return echo
  }

  forget({ token }: Echo): void {
    this.waiting.delete(token)
  }

  hear({ token, participants, isTold }: Count): void {
    const echo = this.waiting.get(token)
    this.waiting.delete(token)
    echo?.arrive(participants, isTold)
  }

  /** Lets go on what has waited too long. */
  sweep(): void {
    this.giveUp(this.now() - PATIENCE_MS)
  }

  close(): void {
    this.giveUp(Number.POSITIVE_INFINITY)
  }

  private giveUp(before: number): void {
    for (const echo of this.waiting.values()) if (echo.giveUp(before)) this.waiting.delete(echo.token)
  }
}
