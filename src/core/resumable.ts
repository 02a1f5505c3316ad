/** What is kept of a connection that was lost, so that the client finds its rooms and metadata again. */
import { CLOSE } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import type { Clock } from './clock.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import type { Listed } from './ports/directory.ts'
import type { Shelf } from './ports/shelf.ts'
import type { Session } from './session.ts'

/** A former connection's rooms and metadata. */
export interface Kept {
  readonly userId: string
  readonly deviceId: string
  readonly rooms: readonly { readonly room: string; readonly since: number }[]
  readonly metadata: Record<string, unknown> | undefined
  /** The connection that was given this. A client that is cut before it has heard of that one names the former again. */
  readonly heir?: string | undefined
}

interface Held {
  kept: Kept
  /** Monotonic milliseconds until which it is kept. */
  readonly until: number
}

/** Whether a client may come back for what it had: not after it said goodbye, was sent away, or was taken over. */
export function isLost(code: number): boolean {
  return code !== CLOSE.normal && code !== CLOSE.unauthorized && code !== CLOSE.forbidden && code !== CLOSE.replaced
}

/** Lost connections that are kept at a time: a network that fails takes everybody with it, and memory is bounded. */
const MAX_KEPT = 20_000

export class Resumables {
  private readonly held = new Map<string, Held>()
  private readonly clock: Clock
  private readonly keepMs: number
  private readonly shelf: Shelf | undefined

  /** @param shelf where other instances find it; absent: there are none. */
  constructor(clock: Clock, keepMs: number, shelf: Shelf | undefined) {
    this.clock = clock
    this.keepMs = keepMs
    this.shelf = shelf
  }

  get size(): number {
    return this.held.size
  }

  /** Keeps what a connection had. It may be no room at all: the client that comes back is told that it was known. */
  keep(session: Session): Kept | undefined {
    if (this.keepMs === 0) return undefined
    const rooms = session.subscriptions.flatMap(({ topic, since }) =>
      topic.room === undefined ? [] : [{ room: topic.room, since }],
    )
    const { userId, deviceId, metadata } = session
    const kept = { userId, deviceId, rooms, metadata }
    this.hold(session.connectionId, kept)
    this.shelve(session.connectionId, kept)
    return kept
  }

  /**
   * Keeps what the directory knows of a connection whose instance cannot be asked. When it joined its rooms it does not
   * know; and what that instance has kept itself stands, because a connection that is ending has left some of its rooms.
   */
  keepLost({ connectionId, userId, deviceId, rooms, record }: Listed): MaybePromise<Kept | undefined> {
    if (this.keepMs === 0) return undefined
    const lost = { userId, deviceId, rooms: rooms.map((room) => ({ room, since: 0 })), metadata: record?.metadata }
    return whenReady(this.claim(connectionId, lost), (kept) => {
      this.hold(connectionId, kept)
      return kept
    })
  }

  /** What was kept of a connection of this user and device, by whichever instance. */
  find(connectionId: string, userId: string, deviceId: string): MaybePromise<Kept | undefined> {
    return whenReady(this.lookUp(connectionId), (kept) =>
      kept?.userId === userId && kept.deviceId === deviceId ? kept : undefined,
    )
  }

  /** Notes which connection was given what another had. */
  inherit(connectionId: string, kept: Kept, heir: string): void {
    const inherited = { ...kept, heir }
    const held = this.held.get(connectionId)
    if (held !== undefined) held.kept = inherited
    this.shelve(connectionId, inherited)
  }

  /** The connection that was given what this one had. */
  heirOf(connectionId: string): MaybePromise<string | undefined> {
    return whenReady(this.lookUp(connectionId), (kept) => kept?.heir)
  }

  /** Forgets what is past its time. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [connectionId, { until }] of this.held) {
      if (until > now) return
      this.held.delete(connectionId)
    }
  }

  private hold(connectionId: string, kept: Kept): void {
    this.held.set(connectionId, { kept, until: this.clock.monotonic() + this.keepMs })
    if (this.held.size <= MAX_KEPT) return
    for (const oldest of this.held.keys()) {
      this.held.delete(oldest)
      return
    }
  }

  /** While the shelf cannot be reached, a client finds its rooms again by this instance alone. */
  private shelve(connectionId: string, kept: Kept): void {
    const { shelf } = this
    if (shelf === undefined) return
    // An application may have given it metadata that has no JSON: that must not keep the connection from ending.
    const put = async () => shelf.put(nameOf(connectionId), JSON.stringify(kept), this.keepMs)
    put().catch(() => {})
  }

  /** Puts down what is not kept yet. @returns what is. */
  private claim(connectionId: string, kept: Kept): MaybePromise<Kept> {
    if (this.shelf === undefined) return kept
    return Promise.resolve(this.shelf.claim(nameOf(connectionId), JSON.stringify(kept), this.keepMs)).then(
      (text) => (text === undefined ? kept : (readKept(JSON.parse(text)) ?? kept)),
      () => kept,
    )
  }

  /** The shelf knows best: another instance may have given it to somebody meanwhile. */
  private lookUp(connectionId: string): MaybePromise<Kept | undefined> {
    const held = this.held.get(connectionId)
    const here = held !== undefined && held.until > this.clock.monotonic() ? held.kept : undefined
    if (this.shelf === undefined) return here
    return Promise.resolve(this.shelf.get(nameOf(connectionId))).then(
      (text) => (text === undefined ? here : readKept(JSON.parse(text))),
      () => here,
    )
  }
}

function nameOf(connectionId: string): string {
  return `kept:${connectionId}`
}

/** Reads what another instance has kept. */
export function readKept(value: unknown): Kept | undefined {
  if (!isRecord(value)) return undefined
  const { userId, deviceId, rooms, metadata, heir } = value
  if (typeof userId !== 'string' || typeof deviceId !== 'string' || !Array.isArray(rooms)) return undefined
  return {
    userId,
    deviceId,
    rooms: rooms.flatMap((each: unknown) =>
      isRecord(each) && typeof each['room'] === 'string'
        ? [{ room: each['room'], since: Number(each['since']) || 0 }]
        : [],
    ),
    metadata: isRecord(metadata) ? metadata : undefined,
    heir: typeof heir === 'string' ? heir : undefined,
  }
}
