/** What is kept of a connection that was lost, so that the client finds its rooms and metadata again. */
import { CLOSE } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Session } from './session.ts'

/** A former connection's rooms and metadata. */
export interface Kept {
  readonly userId: string
  readonly deviceId: string
  readonly rooms: readonly { readonly room: string; readonly since: number }[]
  readonly metadata: Record<string, unknown> | undefined
  /** Monotonic milliseconds until which it is kept. */
  readonly until: number
  /** The connection that was given this. A client that is cut before it has heard of that one names the former again. */
  heir?: string
}

/** Whether a client may come back for what it had: not after it said goodbye, was sent away, or was taken over. */
export function isLost(code: number): boolean {
  return code !== CLOSE.normal && code !== CLOSE.unauthorized && code !== CLOSE.forbidden && code !== CLOSE.replaced
}

/** Lost connections that are kept at a time: a network that fails takes everybody with it, and memory is bounded. */
const MAX_KEPT = 20_000

export class Resumables {
  private readonly kept = new Map<string, Kept>()
  private readonly clock: Clock
  private readonly keepMs: number

  constructor(clock: Clock, keepMs: number) {
    this.clock = clock
    this.keepMs = keepMs
  }

  get size(): number {
    return this.kept.size
  }

  /** Keeps what a connection had. It may be no room at all: the client that comes back is told that it was known. */
  keep(session: Session): void {
    if (this.keepMs === 0) return
    const rooms = session.subscriptions.flatMap(({ topic, since }) =>
      topic.room === undefined ? [] : [{ room: topic.room, since }],
    )
    const { userId, deviceId, metadata } = session
    const until = this.clock.monotonic() + this.keepMs
    this.kept.set(session.connectionId, { userId, deviceId, rooms, metadata, until })
    if (this.kept.size <= MAX_KEPT) return
    for (const oldest of this.kept.keys()) {
      this.kept.delete(oldest)
      break
    }
  }

  /** What was kept of a connection of this user and device. */
  find(connectionId: string, userId: string, deviceId: string): Kept | undefined {
    const kept = this.kept.get(connectionId)
    if (kept === undefined || kept.userId !== userId || kept.deviceId !== deviceId) return undefined
    return kept.until > this.clock.monotonic() ? kept : undefined
  }

  /** The connection that was given what this one had. */
  heirOf(connectionId: string): string | undefined {
    return this.kept.get(connectionId)?.heir
  }

  /** Forgets what is past its time. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [connectionId, { until }] of this.kept) {
      if (until > now) return
      this.kept.delete(connectionId)
    }
  }
}
