/** How far each device has come. Acknowledgements come with every message: they are gathered and written a moment later. */

import type { Database } from 'bun:sqlite'
import type { Positions } from '../../../core/ports/log.ts'
import { TidingsError } from '../../../protocol/errors.ts'
import type { Write } from './writer.ts'

/** Milliseconds for which acknowledgements are gathered: after a crash, devices get this much again. */
const GATHER_MS = 200
/** Positions in one transaction. */
const MAX_ROWS = 500
/** Milliseconds until positions that could not be written are tried again. */
const RETRY_MS = 1000
/** Positions that one step of {@link DevicePositions.forget} looks at. */
const FORGET_STEP = 256
/** Milliseconds after which a device that does not come back is forgotten: a season. */
const KEEP_MS = 90 * 86_400_000

interface Acknowledged {
  readonly user: string
  readonly device: string
  cursor: number
  seen: number
}

export interface PositionsOptions {
  readonly db: Database
  readonly wallMs: () => number
  readonly enqueue: (write: Write) => void
  /** No position is forgotten that could still be recovered from. */
  readonly horizonMs: number
}

export class DevicePositions {
  private readonly options: PositionsOptions
  private readonly keepMs: number
  /** What is not in the database yet, by user and device. */
  private readonly gathered = new Map<string, Map<string, Acknowledged>>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private closed = false
  private walk: { user: string; device: string } = { user: '', device: '' }
  private readonly select
  private readonly newestOf
  private readonly upsert
  private readonly page
  private readonly remove

  constructor(options: PositionsOptions) {
    const { db } = options
    this.options = options
    this.keepMs = Math.max(KEEP_MS, 2 * options.horizonMs)
    this.select = db.prepare<{ cursor: number }, [string, string]>(
      'SELECT cursor FROM positions WHERE user = ? AND device = ?',
    )
    this.newestOf = db.prepare<{ cursor: number | null }, [string]>(
      'SELECT max(cursor) AS cursor FROM positions WHERE user = ?',
    )
    this.upsert = db.prepare<void, [string, string, number, number]>(
      `INSERT INTO positions (user, device, cursor, seen) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET cursor = max(cursor, excluded.cursor), seen = excluded.seen`,
    )
    this.page = db.prepare<{ user: string; device: string; seen: number }, [string, string, number]>(
      'SELECT user, device, seen FROM positions WHERE (user, device) > (?, ?) ORDER BY user, device LIMIT ?',
    )
    this.remove = db.prepare<void, [string, string]>('DELETE FROM positions WHERE user = ? AND device = ?')
  }

  of(userId: string, deviceId: string): Positions {
    const gathered = this.gathered.get(userId)
    const own = latest(this.select.get(userId, deviceId)?.cursor, gathered?.get(deviceId)?.cursor)
    let newest = latest(this.newestOf.get(userId)?.cursor ?? undefined, undefined)
    if (gathered !== undefined) for (const { cursor } of gathered.values()) newest = latest(newest, cursor)
    return { own, newest }
  }

  acknowledge(userId: string, deviceId: string, cursor: number): void {
    const seen = this.options.wallMs()
    if (this.closed) return
    this.gather({ user: userId, device: deviceId, cursor, seen })
    this.timer ??= setTimeout(this.flush, GATHER_MS)
  }

  /** Remembers a new device; resolves when that is committed. Where it fails, it is tried again with what is gathered. */
  introduce(userId: string, deviceId: string, cursor: number): Promise<void> {
    this.acknowledge(userId, deviceId, cursor)
    const seen = this.options.wallMs()
    return new Promise((resolve, reject) => {
      const run = () => void this.upsert.run(userId, deviceId, cursor, seen)
      this.options.enqueue({ bytes: 0, run, committed: resolve, failed: reject })
    })
  }

  /** Hands over what was gathered for the last time; what is acknowledged from now on is not written any more. */
  close(): void {
    this.flush()
    this.closed = true
  }

  /** Hands over what was gathered to be written. */
  readonly flush = (): void => {
    clearTimeout(this.timer)
    this.timer = undefined
    let rows: Acknowledged[] = []
    for (const devices of this.gathered.values()) {
      for (const row of devices.values()) rows.push(row)
      if (rows.length < MAX_ROWS) continue
      this.hand(rows)
      rows = []
    }
    if (rows.length > 0) this.hand(rows)
  }

  /** Forgets a bounded piece of the devices that have not been seen for long. Inside of a transaction. */
  forget(): void {
    const before = this.options.wallMs() - this.keepMs
    const rows = this.page.all(this.walk.user, this.walk.device, FORGET_STEP)
    for (const { user, device, seen } of rows) if (seen < before) this.remove.run(user, device)
    this.walk = rows.length < FORGET_STEP ? { user: '', device: '' } : (rows[rows.length - 1] ?? this.walk)
  }

  private gather(row: Acknowledged): void {
    let devices = this.gathered.get(row.user)
    if (devices === undefined) {
      devices = new Map()
      this.gathered.set(row.user, devices)
    }
    const known = devices.get(row.device)
    if (known === undefined) {
      devices.set(row.device, row)
      return
    }
    known.cursor = Math.max(known.cursor, row.cursor)
    known.seen = row.seen
  }

  /** A row stays in memory until it is in the database, so that a reader never sees an older position. */
  private hand(rows: readonly Acknowledged[]): void {
    const written = rows.map(({ cursor }) => cursor)
    const write: Write = {
      bytes: 0,
      run: () => {
        for (const { user, device, cursor, seen } of rows) this.upsert.run(user, device, cursor, seen)
      },
      committed: () => {
        for (const [n, row] of rows.entries()) {
          const devices = this.gathered.get(row.user)
          // It may have moved on since: then it is written again.
          if (devices?.get(row.device) !== row || row.cursor !== written[n]) continue
          devices.delete(row.device)
          if (devices.size === 0) this.gathered.delete(row.user)
        }
        if (this.gathered.size > 0 && !this.closed) this.timer ??= setTimeout(this.flush, GATHER_MS)
      },
      failed: () => {
        if (!this.closed) this.timer ??= setTimeout(this.flush, RETRY_MS)
      },
    }
    try {
      this.options.enqueue(write)
    } catch (error) {
      // Too much is waiting to be written: the rows are in memory and are tried again.
      write.failed(TidingsError.from(error))
    }
  }
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.max(a, b)
}
