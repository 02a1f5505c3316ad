/** The directory in Redis: every change is one script, so that limits hold, and of two who do the same one has done it. */
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { LocalView } from '../../../core/ports/backend.ts'
import type {
  Directory,
  DirectoryListener,
  Eviction,
  Listed,
  ListPlace,
  Lookup,
  Seat,
  Seating,
  SeatLimits,
} from '../../../core/ports/directory.ts'
import { type ConnectionRecord, recordOf } from '../../../core/records.ts'
import type { Session } from '../../../core/session.ts'
import { reasonOf, unavailable } from '../failures.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { RedisAttendances } from './attendances.ts'
import { Lease } from './lease.ts'
import { Lists } from './lists.ts'
import { BACK, LIST, LOST, RELEASE, RESERVE, RETURN, UNSEATED, VACATE } from './scripts.ts'
import { Sweeper } from './sweeper.ts'

export interface RedisDirectoryOptions {
  readonly primary: Primary
  readonly keys: Keys
  readonly instance: string
  /** Milliseconds between two renewals of the lease. */
  readonly renewMs: number | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Milliseconds in which the record of every connection is written down anew: `last_seen` and counters are as old. */
const RECORDS_ROUND_MS = 60_000
/** Milliseconds between two steps of that, and between two tries of what could not be given back. */
const STEP_MS = 1000
/** Scripts under way at a time while everything is brought in again. */
const RETURN_STEP = 50
/** Connections given back in one script. */
const RELEASE_STEP = 20
/** Renewals that find another number of connections than there are, before that is put right: some are always under way. */
const MAX_MISMATCHES = 2

const NO_LIMITS: SeatLimits = { perUser: 0, perUserPolicy: 'reject', perAddress: 0, total: 0 }

export class RedisDirectory implements Directory {
  readonly attendances: RedisAttendances
  private readonly options: RedisDirectoryOptions
  private readonly lease: Lease
  private readonly lists: Lists
  private readonly sweeper: Sweeper
  private readonly timer: ReturnType<typeof setInterval>
  /** What is in this process; nothing, until it says so. */
  private local: Pick<LocalView, 'room' | 'rooms'> & { readonly registry: Pick<LocalView['registry'], 'get'> } = {
    registry: new Map(),
    room: () => undefined,
    rooms: () => new Map(),
  }
  private listener: DirectoryListener = { onLost() {}, onEvicted() {}, onReturned() {} }
  /** Every place of this process, its session there or not yet. */
  private readonly seats = new Map<string, Seat>()
  /** Those that are being asked for: Redis may know of them before this process does. */
  private readonly reserving = new Set<string>()
  /** Those that have ended and are to be taken out, and whether many go at once. */
  private readonly releasing = new Map<string, boolean>()
  /** How many are being taken out. */
  private givingBack = 0
  /** Those that are gone and stay in their rooms for a while. */
  private readonly vacated = new Set<string>()
  private limits = NO_LIMITS
  private begun = false
  private mismatches = 0
  private walk: Iterator<string> | undefined

  constructor(options: RedisDirectoryOptions) {
    const { clock, instance, keys, log, primary, renewMs } = options
    this.options = options
    this.lists = new Lists(primary, keys)
    this.lease = new Lease({
      primary,
      keys,
      instance,
      renewMs,
      log,
      replaced: () => this.listener.onReturned(),
      restore: () => this.restore(),
      renewed: (count) => this.compare(count),
    })
    this.attendances = new RedisAttendances({
      lease: this.lease,
      lists: this.lists,
      primary,
      keys,
      instance,
      log,
      monotonic: () => clock.monotonic(),
      local: () => this.local,
      isSeated: (connectionId) => this.seats.has(connectionId),
      bringBack: async (connectionId) => {
        const seat = this.seats.get(connectionId)
        if (seat !== undefined) await this.bringBack(seat)
        return seat !== undefined
      },
    })
    this.sweeper = new Sweeper({
      lease: this.lease,
      lists: this.lists,
      clock,
      log,
      onLost: (each) => this.listener.onLost(each),
    })
    this.timer = setInterval(() => this.step(), STEP_MS)
    this.timer.unref()
  }

  /** MUST be awaited before anything else. */
  async begin(): Promise<void> {
    await this.lease.begin()
    this.begun = true
  }

  /** Names what is in this process. MUST be called before the first connection. */
  attach(local: LocalView): void {
    this.local = local
  }

  listen(listener: DirectoryListener): void {
    this.listener = listener
  }

  /** Redis takes commands, again or for the first time: what could not be given back can. */
  onCommands(): void {
    if (this.begun) this.sweeper.rest()
    if (this.releasing.size > 0) void this.flush()
  }

  /** The data in Redis is another: what this instance has written down may be missing. */
  onEpoch(): void {
    this.lease.invalidate()
    this.attendances.onEpoch()
  }

  async reserve(seat: Seat, limits: SeatLimits): Promise<Seating> {
    const { former = '', record, ...kept } = seat
    const { connectionId, userId, deviceId, addressKey } = kept
    const { perUser, perUserPolicy, perAddress, total } = limits
    this.limits = limits
    this.reserving.add(connectionId)
    try {
      const place = [connectionId, userId, deviceId, addressKey, perUser, perAddress, total, perUserPolicy, former]
      const told = record === undefined ? '' : jsonOf(record)
      const [outcome, evicted = '', instance = ''] = (await this.lease.run(RESERVE, [...place, told])) as string[]
      if (outcome !== undefined && outcome !== 'evicted')
        return { seated: false, full: outcome as 'user' | 'address' | 'total' }
      this.seats.set(connectionId, kept)
      return { seated: true, evicted: outcome === undefined ? undefined : { connectionId: evicted, instance } }
    } catch (error) {
      // Whether it has a place is not known: it is given back, in case.
      this.free(connectionId)
      throw error
    } finally {
      this.reserving.delete(connectionId)
    }
  }

  release(connectionId: string, gathered = false): void {
    const isSeated = this.seats.delete(connectionId)
    if (this.vacated.delete(connectionId) || isSeated) this.free(connectionId, gathered)
  }

  vacate(connectionId: string): void {
    if (!this.seats.delete(connectionId)) return
    this.vacated.add(connectionId)
    // If Redis cannot be told now, the place is free when the stay is over.
    this.lease.run(VACATE, [connectionId]).catch(() => {})
  }

  async evict(connectionId: string, why: Eviction): Promise<void> {
    await this.lease.run(VACATE, [connectionId, why])
  }

  async list(session: Session): Promise<Eviction | undefined> {
    const { connectionId } = session
    const record = recordOf(session, this.options.clock)
    const opened = jsonOf(record.state === 'connecting' ? { ...record, state: 'open' } : record)
    const reply = await this.lease.run(LIST, [connectionId, opened])
    if (reply === 1) return undefined
    if (reply !== UNSEATED) return evictionOf(reply)
    const seat = this.seats.get(connectionId)
    return seat === undefined ? 'replaced' : this.bringBack(seat)
  }

  connections(lookup: Lookup, after?: ListPlace): AsyncIterable<readonly Listed[]> {
    return this.lists.connections(lookup, after)
  }

  find(connectionId: string): Promise<Listed | undefined> {
    return this.lists.find(connectionId)
  }

  connectionsOf(userId: string): Promise<number> {
    return this.lists.connectionsOf(userId)
  }

  connectionsIn(room: string): Promise<number> {
    return this.lists.connectionsIn(room)
  }

  rooms(after: string | undefined, limit: number): Promise<readonly string[]> {
    return this.lists.rooms(after, limit)
  }

  totals(): Promise<{ connections: number; users: number; rooms: number }> {
    return this.lists.totals()
  }

  async instances(): Promise<readonly string[]> {
    const { alive } = await this.lists.instances()
    return alive
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    this.sweeper.stop()
    this.attendances.close()
    for (const connectionId of [...this.seats.keys(), ...this.vacated]) this.release(connectionId)
    await this.flush()
    // Where that fails the lease runs out.
    await this.lease.end().catch(() => this.lease.stop())
  }

  private describe(session: Session): string {
    return jsonOf(recordOf(session, this.options.clock))
  }

  private free(connectionId: string, gathered = false): void {
    this.attendances.forget(connectionId)
    if (this.releasing.size === 0) queueMicrotask(() => void this.flush())
    this.releasing.set(connectionId, gathered)
  }

  /** Gives back the places that are free. What Redis cannot be told now it is told with the next step. */
  private async flush(): Promise<void> {
    const all = [...this.releasing]
    this.releasing.clear()
    const steps = []
    for (let n = 0; n < all.length; n += RELEASE_STEP) steps.push(this.giveBack(all.slice(n, n + RELEASE_STEP)))
    await Promise.all(steps)
  }

  private async giveBack(some: readonly (readonly [connectionId: string, gathered: boolean])[]): Promise<void> {
    this.givingBack += some.length
    try {
      await this.lease.run(
        RELEASE,
        some.flatMap(([connectionId, gathered]) => [connectionId, gathered ? 1 : 0]),
      )
    } catch {
      for (const [connectionId, gathered] of some) this.releasing.set(connectionId, gathered)
    } finally {
      this.givingBack -= some.length
    }
  }

  private step(): void {
    if (this.releasing.size > 0) void this.flush()
    this.attendances.step()
    for (let left = Math.ceil((this.seats.size * STEP_MS) / RECORDS_ROUND_MS); left > 0; left--) {
      this.walk ??= this.seats.keys()
      const { done, value } = this.walk.next()
      if (done) this.walk = undefined
      else this.refresh(value)
    }
  }

  private refresh(connectionId: string): void {
    const session = this.local.registry.get(connectionId)
    if (session === undefined) return
    this.list(session).then(
      (why) => {
        if (why !== undefined && this.seats.has(connectionId)) this.listener.onEvicted(connectionId, why)
      },
      () => {},
    )
  }

  /** What Redis has of this instance should be what is here; what failed half-way is put right. */
  private compare(count: number): void {
    const known = this.seats.size + this.vacated.size + this.releasing.size + this.givingBack
    this.mismatches = count === known ? 0 : this.mismatches + 1
    if (this.mismatches <= MAX_MISMATCHES) return
    this.mismatches = 0
    this.options.log.info('redis_directory_mended', { listed: count, connections: this.seats.size })
    this.mend().catch((error) => this.options.log.debug('redis_mending_failed', { reason: reasonOf(error) }))
  }

  private async mend(): Promise<void> {
    const listed = new Set(await this.strangers())
    await this.flush()
    await this.bringIn([...this.seats.values()].filter(({ connectionId }) => !listed.has(connectionId)))
  }

  private async restore(): Promise<void> {
    this.releasing.clear()
    await this.bringIn([...this.seats.values()])
    await this.lease.runOnce(BACK, [])
    await this.strangers()
    if (this.releasing.size > 0) queueMicrotask(() => void this.flush())
  }

  /** Has given back what Redis takes for a connection of this process and is none. @returns what Redis has. */
  private async strangers(): Promise<readonly string[]> {
    const listed = await this.lists.ownedBy(this.options.instance)
    for (const connectionId of listed) {
      const known = this.seats.has(connectionId) || this.vacated.has(connectionId) || this.reserving.has(connectionId)
      if (!known) this.releasing.set(connectionId, false)
    }
    return listed
  }

  private async bringIn(seats: readonly Seat[]): Promise<void> {
    for (let n = 0; n < seats.length; n += RETURN_STEP)
      await Promise.all(seats.slice(n, n + RETURN_STEP).map((seat) => this.bringBack(seat)))
  }

  /** Under the limits: while this instance was thought dead, others may have taken the place. */
  private async bringBack({ connectionId, userId, deviceId, addressKey }: Seat): Promise<Eviction | undefined> {
    const { perUser, perAddress, total } = this.limits
    const session = this.local.registry.get(connectionId)
    const username = session?.identity.username
    const record = session === undefined ? '' : this.describe(session)
    const standing = session === undefined ? [] : this.attendances.standingOf(session)
    const seat = [connectionId, userId, deviceId, addressKey, perUser, perAddress, total]
    const reply = await this.lease.runOnce(RETURN, [...seat, username ?? '', record, ...standing])
    if (reply === LOST) throw unavailable('The directory is being replaced')
    if (reply === 1) return undefined
    const why = evictionOf(reply)
    this.seats.delete(connectionId)
    this.free(connectionId)
    this.listener.onEvicted(connectionId, why)
    return why
  }
}

/** Empty where an application has given the connection metadata that has none. */
function jsonOf(record: ConnectionRecord): string {
  try {
    return JSON.stringify(record)
  } catch {
    return ''
  }
}

/** What a script says of a connection without a place; instances of another version have other words. */
function evictionOf(reply: unknown): Eviction {
  return reply === 'ended' || reply === 'ended_for_now' ? reply : 'replaced'
}
