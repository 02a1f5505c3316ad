/**
 * Events of other instances that want an answer from clients of this one. The answers of one turn of the event loop go
 * back together: a room of thousands answers at once.
 */
import type { Clock } from './clock.ts'
import type { Peers } from './peers.ts'

interface Asker {
  readonly instance: string
  /** Monotonic milliseconds after which nobody waits any more. */
  readonly until: number
}

/** One client's answer, as instances tell it to each other. */
interface Told {
  readonly ack_id: string
  readonly connection_id: string
  readonly result: unknown
}

/** The kind of question that brings answers home. */
export const ANSWERS = 'answers'

/** Events that may be open at once: past it the oldest is forgotten, and its answers count as missing. */
const MAX_OPEN = 10_000

export class ForeignAsks {
  private readonly clock: Clock
  private readonly peers: Peers
  private readonly open = new Map<string, Asker>()
  private readonly waiting = new Map<string, Told[]>()

  constructor(clock: Clock, peers: Peers) {
    this.clock = clock
    this.peers = peers
  }

  get size(): number {
    return this.open.size
  }

  /** Another instance has published an event that wants answers, for so many milliseconds. */
  add(ackId: string, instance: string, timeoutMs: number): void {
    this.open.set(ackId, { instance, until: this.clock.monotonic() + timeoutMs })
    if (this.open.size <= MAX_OPEN) return
    for (const oldest of this.open.keys()) {
      this.open.delete(oldest)
      return
    }
  }

  /** Takes a client's answer; one to an event that nobody has asked is ignored. */
  answer(ackId: string, connectionId: string, result: unknown): void {
    const asker = this.open.get(ackId)
    if (asker === undefined) return
    if (this.waiting.size === 0) setImmediate(() => this.flush())
    const told = { ack_id: ackId, connection_id: connectionId, result }
    const waiting = this.waiting.get(asker.instance)
    if (waiting === undefined) this.waiting.set(asker.instance, [told])
    else waiting.push(told)
  }

  /** Forgets what nobody waits for. Called about once a second. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [ackId, { until }] of this.open) if (until <= now) this.open.delete(ackId)
  }

  private flush(): void {
    for (const [instance, answers] of this.waiting) this.peers.tell(instance, ANSWERS, { answers })
    this.waiting.clear()
  }
}
