/** The rooms' shared states, in the database. A change is answered when it is committed. */

import type { Database } from 'bun:sqlite'
import { mergePatch } from '../../../core/merge-patch.ts'
import type { RoomState, RoomStates } from '../../../core/ports/backend.ts'
import { TidingsError } from '../../../protocol/errors.ts'
import { readSafely } from './reading.ts'
import type { Write } from './writer.ts'

/** Milliseconds for which an abandoned room keeps its state: a meeting goes on the next day. */
const KEPT_MS = 24 * 60 * 60 * 1000
/** States that one step of {@link StoredRoomStates.drop} removes. */
const DROP_STEP = 100

export interface RoomStatesOptions {
  readonly db: Database
  readonly wallMs: () => number
  readonly enqueue: (write: Write) => void
  /** Bytes of one state as JSON: it is sent whole, so it is bounded like a message. */
  readonly maxStateBytes: number
}

export class StoredRoomStates implements RoomStates {
  private readonly options: RoomStatesOptions
  private readonly present = new Set<string>()
  private readonly select
  private readonly upsert
  private readonly vacate
  private readonly dropOld

  constructor(options: RoomStatesOptions) {
    const { db, wallMs } = options
    this.options = options
    this.select = db.prepare<{ state: string; version: number }, [string]>(
      'SELECT state, version FROM room_states WHERE room = ?',
    )
    this.upsert = db.prepare<void, [string, string, number, number | null]>(
      'INSERT OR REPLACE INTO room_states (room, state, version, vacated) VALUES (?, ?, ?, ?)',
    )
    this.vacate = db.prepare<void, [number | null, string]>('UPDATE room_states SET vacated = ? WHERE room = ?')
    this.dropOld = db.prepare<void, [number, number]>(
      'DELETE FROM room_states WHERE room IN (SELECT room FROM room_states WHERE vacated < ? LIMIT ?)',
    )
    // Whoever was in a room left it when the last run ended, at the latest now.
    db.prepare<void, [number]>('UPDATE room_states SET vacated = ? WHERE vacated IS NULL').run(wallMs())
  }

  get(room: string): RoomState | undefined {
    const row = readSafely(() => this.select.get(room))
    return row === null ? undefined : { state: JSON.parse(row.state), version: row.version }
  }

  /** @throws TidingsError (rejected) as the port says, and `unavailable` where the store cannot be written. */
  patch(room: string, patch: unknown, ifVersion: number | undefined): Promise<RoomState> {
    return new Promise((resolve, reject) => {
      let settle = (): void => {}
      this.options.enqueue({
        bytes: 0,
        run: () => {
          settle = this.attempt(room, patch, ifVersion, resolve, reject)
        },
        committed: () => settle(),
        failed: reject,
      })
    })
  }

  occupied(room: string, occupied: boolean): void {
    if (occupied) this.present.add(room)
    else this.present.delete(room)
    try {
      if (this.select.get(room) === null) return
      this.options.enqueue({
        bytes: 0,
        run: () => this.vacate.run(this.vacatedNow(room), room),
        committed: () => {},
        failed: () => {},
      })
    } catch {
      // Joining and leaving work without the store, and a start dates states that nobody has dated.
    }
  }

  /** Drops a bounded piece of the states of rooms that have been empty for long. Inside of a transaction. */
  drop(): void {
    this.dropOld.run(this.options.wallMs() - KEPT_MS, DROP_STEP)
  }

  /** A refusal is an answer like any other: to fail the row would undo the work of everybody in the batch. */
  private attempt(
    room: string,
    patch: unknown,
    ifVersion: number | undefined,
    resolve: (next: RoomState) => void,
    reject: (error: TidingsError) => void,
  ): () => void {
    try {
      const next = this.apply(room, patch, ifVersion)
      return () => resolve(next)
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error
      return () => reject(error)
    }
  }

  private apply(room: string, patch: unknown, ifVersion: number | undefined): RoomState {
    const { maxStateBytes } = this.options
    const row = this.select.get(room)
    const version = row?.version ?? 0
    if (ifVersion !== undefined && ifVersion !== version) {
      const details = { version }
      throw new TidingsError('version_conflict', `The state has version ${version}, not ${ifVersion}`, { details })
    }
    const state = mergePatch(row === null ? {} : JSON.parse(row.state), patch)
    const json = JSON.stringify(state)
    const bytes = Buffer.byteLength(json)
    if (bytes > maxStateBytes) {
      throw new TidingsError('payload_too_large', `The state would be ${bytes} of ${maxStateBytes} bytes`)
    }
    this.upsert.run(room, json, version + 1, this.vacatedNow(room))
    return { state, version: version + 1 }
  }

  private vacatedNow(room: string): number | null {
    return this.present.has(room) ? null : this.options.wallMs()
  }
}
