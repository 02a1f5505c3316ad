/** Marker rounds that are under way: asked for by one connection, come round by the other, in either order. */
import type { Marker } from './envelope.ts'

export interface Round {
  /** Called in the turn in which it arrives, before anything that was published after it. */
  readonly arrived: (marker: Marker) => void
  readonly since: number
  replied: boolean
}

/** Milliseconds for which a marker may take; past it nothing comes by the subscriber's connection. */
const MAX_ROUND_MS = 2000
/** Rounds under way beyond which the oldest is forgotten: a connection that is stuck must not gather them. */
const MAX_ROUNDS = 1000

export class Markers {
  private readonly rounds = new Map<string, Round>()
  private counter = 0

  /** Names a marker that is going to be sent. */
  expect(now: number, arrived: (marker: Marker) => void): { readonly name: string; readonly round: Round } {
    const name = `r${++this.counter}`
    const round = { arrived, since: now, replied: false }
    this.rounds.set(name, round)
    for (const oldest of this.rounds.keys()) {
      if (this.rounds.size <= MAX_ROUNDS) break
      this.rounds.delete(oldest)
    }
    return { name, round }
  }

  arrive(marker: Marker): void {
    const round = this.rounds.get(marker.name)
    if (round === undefined) return
    this.rounds.delete(marker.name)
    round.arrived(marker)
  }

  /** Whether a marker that Redis has sent off has not come for too long. */
  overdue(now: number): boolean {
    for (const { replied, since } of this.rounds.values()) if (replied && now - since > MAX_ROUND_MS) return true
    return false
  }

  clear(): void {
    this.rounds.clear()
  }
}
