/** Who is connected where, in one process: what is in its registry is the truth, and nobody has to be asked. */
import type { Clock } from '../../core/clock.ts'
import { pageOf } from '../../core/paging.ts'
import type { LocalView } from '../../core/ports/backend.ts'
import {
  byAge,
  type Directory,
  type Eviction,
  type Listed,
  type ListPlace,
  type Lookup,
  type Seat,
  type Seating,
  type SeatLimits,
} from '../../core/ports/directory.ts'
import { type ConnectionRecord, recordOf } from '../../core/records.ts'
import type { Room } from '../../core/room.ts'
import type { Session } from '../../core/session.ts'
import { Seats } from './seats.ts'

/** The name of the only instance. */
const HERE = 'local'
/** Connections listed in one turn of the event loop: about a millisecond. */
const PAGE = 500

export class EmbeddedDirectory implements Directory {
  private readonly local: LocalView
  private readonly clock: Clock
  private readonly seats = new Seats(HERE)

  constructor(local: LocalView, clock: Clock) {
    this.local = local
    this.clock = clock
  }

  /** Nobody comes or goes of whom this process does not know. */
  listen(): void {}

  reserve(seat: Seat, limits: SeatLimits): Seating {
    return this.seats.reserve(seat, limits)
  }

  release(connectionId: string): void {
    this.seats.release(connectionId)
  }

  vacate(connectionId: string): void {
    this.seats.release(connectionId)
  }

  evict(connectionId: string): void {
    this.seats.evict(connectionId)
  }

  list({ connectionId }: Session): Eviction | undefined {
    return this.seats.hasLost(connectionId) ? 'replaced' : undefined
  }

  async *connections(lookup: Lookup, after?: ListPlace): AsyncIterable<readonly Listed[]> {
    for (let place = after; ; ) {
      const { items, last } = pageOf(this.behind(lookup, place), byAge, PAGE)
      yield items
      if (last === undefined) return
      place = last
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  find(connectionId: string): Listed | undefined {
    const session = this.local.registry.get(connectionId)
    return session && new Here(session, this.clock)
  }

  connectionsOf(userId: string): number {
    return this.local.registry.byUser.count(userId)
  }

  connectionsIn(room: string): number {
    return this.local.room(room)?.topic.size ?? 0
  }

  rooms(after: string | undefined, limit: number): readonly string[] {
    return pageOf(this.roomsBehind(after), (a, b) => (a < b ? -1 : a > b ? 1 : 0), limit).items
  }

  totals(): { connections: number; users: number; rooms: number } {
    const { registry } = this.local
    return { connections: registry.size, users: registry.byUser.size, rooms: this.local.rooms().size }
  }

  instances(): readonly string[] {
    return [HERE]
  }

  close(): void {}

  private *behind(lookup: Lookup, after: ListPlace | undefined): Iterable<Listed> {
    for (const session of this.candidates(lookup)) {
      const listed = new Here(session, this.clock)
      if (after === undefined || byAge(listed, after) > 0) yield listed
    }
  }

  private candidates({ userId, deviceId, addressKey, room }: Lookup): Iterable<Session> {
    const { registry } = this.local
    if (userId !== undefined) return registry.byUser.get(userId)
    if (deviceId !== undefined) return registry.byDevice.get(deviceId)
    if (addressKey !== undefined) return registry.byAddress.get(addressKey)
    return room === undefined ? registry.all() : membersOf(this.local.room(room))
  }

  private *roomsBehind(after: string | undefined): Iterable<string> {
    for (const name of this.local.rooms().keys()) if (after === undefined || name > after) yield name
  }
}

/** A connection of this process. Its record is made when it is asked for: most lists are sifted by less. */
class Here implements Listed {
  readonly instance = HERE
  private readonly session: Session
  private readonly clock: Clock

  constructor(session: Session, clock: Clock) {
    this.session = session
    this.clock = clock
  }

  get connectionId(): string {
    return this.session.connectionId
  }

  get userId(): string {
    return this.session.userId
  }

  get deviceId(): string {
    return this.session.deviceId
  }

  get since(): number {
    return this.session.connectedAt
  }

  get rooms(): readonly string[] {
    return this.session.rooms
  }

  get record(): ConnectionRecord {
    return recordOf(this.session, this.clock)
  }
}

function* membersOf(room: Room | undefined): Iterable<Session> {
  for (const userId of room?.members.keys() ?? []) {
    for (const session of room?.members.get(userId) ?? []) if (!session.closed) yield session
  }
}
