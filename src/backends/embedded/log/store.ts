/** The embedded store: one SQLite file with the message log, the rooms' states and revocations, for one process. */

import type { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { RoomStates } from '../../../core/ports/backend.ts'
import type { MessageLog } from '../../../core/ports/log.ts'
import type { Revocations } from '../../../core/ports/revocations.ts'
import { Answers } from './answers.ts'
import { Checkpointer } from './checkpointer.ts'
import type { Found } from './continuity.ts'
import { explain, explainOpening, IN_MEMORY, openDatabase } from './database.ts'
import { fingerprint } from './file-identity.ts'
import { Maintenance } from './maintenance.ts'
import { SqliteMessageLog } from './message-log.ts'
import { Messages } from './messages.ts'
import { DevicePositions } from './positions.ts'
import { StoredRevocations } from './revocations.ts'
import { StoredRoomStates } from './room-states.ts'
import { beginRun, endRun, lookAt, type Run } from './run.ts'
import { StoreError } from './store-error.ts'
import { StoreLock } from './store-lock.ts'
import { Topics } from './topics.ts'
import { Trimmer } from './trimmer.ts'
import { WalSync } from './wal-sync.ts'
import { type Write, Writer } from './writer.ts'

export interface StoreOptions {
  /** The database file; its folder is made where it is missing. `:memory:` keeps nothing. */
  readonly path: string
  /** `full`: a message is acknowledged when the disk has it. */
  readonly durability: 'process' | 'full'
  /** Milliseconds for which the answer to a keyed publish is remembered. */
  readonly idempotencyMs: number
  /** Milliseconds for which emptied topics are remembered: at least the longest age for which messages are kept. */
  readonly horizonMs: number
  /** Bytes of one room's state as JSON. */
  readonly maxStateBytes: number
  readonly clock: Clock
  readonly log: Log
  /** Bytes of messages that may wait to be stored. Default {@link MAX_QUEUE_BYTES}. */
  readonly maxQueueBytes?: number
  /** Milliseconds between two steps of housekeeping. Default {@link HOUSEKEEPING_MS}. */
  readonly housekeepingMs?: number
}

export interface Store {
  readonly messages: MessageLog
  readonly states: RoomStates
  readonly revocations: Revocations
  /** Writes what is waiting, marks a clean end and gives the file free. Can be called again. */
  close(): Promise<void>
}

/** 32 MiB: at full speed written in a second, and small beside the memory of as many connections as it takes to fill it. */
const MAX_QUEUE_BYTES = 32 * 1024 * 1024

/** A step takes less than a millisecond: a thousandth of the time. */
const HOUSEKEEPING_MS = 1000

/**
 * Opens the store.
 * @throws StoreError with a line for the operator: in use, damaged, not ours, too new, not writable, clock broken.
 */
export function openStore(options: StoreOptions): Store {
  const { path } = options
  if (path === IN_MEMORY) return open(options, openDatabase(path), undefined, lookAt(path, undefined))
  makeFolder(dirname(path))
  const lock = StoreLock.take(path)
  try {
    const found = lookAt(path, lock)
    return open(options, openDatabase(path), lock, found)
  } catch (error) {
    lock.release()
    throw error
  }
}

function open(options: StoreOptions, db: Database, lock: StoreLock | undefined, found: Found): Store {
  try {
    const { clock, durability, horizonMs, log, path } = options
    const run = beginRun({
      db,
      path,
      lock,
      found,
      durability,
      horizonMs,
      wallMs: clock.now(),
      monotonic: () => clock.monotonic(),
      log,
    })
    return assemble(options, db, lock, run)
  } catch (error) {
    db.close(true)
    if (error instanceof StoreError) throw error
    throw new StoreError(explainOpening(options.path, error), { cause: error })
  }
}

function assemble(options: StoreOptions, db: Database, lock: StoreLock | undefined, run: Run): Store {
  const { clock, durability, horizonMs, log, maxStateBytes, path } = options
  const wallMs = (): number => clock.now()
  const monotonic = (): number => clock.monotonic()
  const onDisk = path !== IN_MEMORY
  const enqueue = (write: Write): void => writer.enqueue(write)

  const topics = new Topics(db)
  const trimmer = new Trimmer(db, topics, wallMs, monotonic)
  const answers = new Answers(db, options.idempotencyMs, monotonic)
  const positions = new DevicePositions({ db, wallMs, enqueue, horizonMs })
  const states = new StoredRoomStates({ db, wallMs, enqueue, maxStateBytes })
  const revocations = new StoredRevocations({ db, wallMs, enqueue })
  const sync = onDisk && durability === 'full' ? new WalSync(path) : undefined
  const checkpointer = onDisk
    ? new Checkpointer({ db, path, log, pause: () => writer.pause(), resume: () => writer.resume() })
    : undefined

  const messages = new SqliteMessageLog({
    clock: run.clock,
    wallMs,
    log,
    topics,
    messages: new Messages(db),
    answers,
    trimmer,
    facts: run.facts,
    positions,
    writer: () => writer,
    durable: sync === undefined ? (tell) => tell(undefined) : (tell) => sync.after(tell),
    afterCommit: () => checkpointer?.committed(),
    completeSince: run.completeSince,
    horizonMs,
    close,
  })
  const maxQueueBytes = options.maxQueueBytes ?? MAX_QUEUE_BYTES
  const writer = new Writer({ db, log, hooks: messages, monotonic, maxQueueBytes })
  answers.restore(wallMs())
  const maintenance = new Maintenance({
    log: messages,
    clock: run.clock,
    wallMs,
    topics,
    trimmer,
    answers,
    positions,
    states,
    revocations,
    horizonMs,
    everyMs: options.housekeepingMs ?? HOUSEKEEPING_MS,
  })

  async function close(): Promise<void> {
    maintenance.stop()
    positions.close()
    await writer.close()
    await sync?.close()
    await checkpointer?.close()
    try {
      endRun(run.facts, run.clock.last)
      if (onDisk) db.run('PRAGMA wal_checkpoint(TRUNCATE)')
      db.close(true)
      lock?.testify({ run: run.name, file: fingerprint(path) })
    } catch (error) {
      // What was acknowledged is in the write-ahead log; the next start says that the end was not a clean one.
      log.error('store_close_failed', { reason: explain(error), error })
      db.close(true)
    } finally {
      lock?.release()
    }
  }

  return { messages, states, revocations, close: () => messages.close() }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new StoreError(
      `The store's folder ${folder} cannot be made: ${explain(error)}. Make it writable for the server, or name another file in store.path.`,
      { cause: error },
    )
  }
}
