/** Tickets in the memory of one process: they live for seconds, and after a restart clients ask for new ones. */
import type { Clock } from '../../core/clock.ts'
import type { Ticket, Tickets } from '../../core/ports/tickets.ts'

interface Entry {
  readonly ticket: Ticket
  /** Monotonic milliseconds. */
  readonly until: number
}

/** Tickets at a time, about 300 bytes each: past it the oldest goes, so that asking for them cannot fill the memory. */
const MAX_TICKETS = 100_000

export class EmbeddedTickets implements Tickets {
  private readonly entries = new Map<string, Entry>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.entries.size
  }

  add(id: string, ticket: Ticket, ttlMs: number): void {
    this.entries.set(id, { ticket, until: this.clock.monotonic() + ttlMs })
    if (this.entries.size <= MAX_TICKETS) return
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest)
      return
    }
  }

  get(id: string): Ticket | undefined {
    const entry = this.entries.get(id)
    return entry !== undefined && entry.until > this.clock.monotonic() ? entry.ticket : undefined
  }

  pass(id: string, from: string | undefined, ticket: Ticket, ttlMs: number): boolean {
    const present = this.get(id)
    if (present === undefined || present.holder?.connectionId !== from) return false
    this.entries.delete(id)
    this.add(id, ticket, ttlMs)
    return true
  }

  keep(id: string, holder: string, ttlMs: number): void {
    const ticket = this.get(id)
    if (ticket?.holder?.connectionId !== holder) return
    this.entries.delete(id)
    if (ttlMs > 0) this.add(id, ticket, ttlMs)
  }

  /** Forgets what nobody has brought in time. Called about once a second. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [id, { until }] of this.entries) if (until <= now) this.entries.delete(id)
  }
}
