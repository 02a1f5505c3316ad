/** Opening the database file, and what its failures mean. */

import { constants, Database, SQLiteError } from 'bun:sqlite'
import { migrate } from './schema.ts'
import { StoreError } from './store-error.ts'

/** The path under which nothing is kept. */
export const IN_MEMORY = ':memory:'

/** Memory for database pages, in KiB: the index pages of some thousand rooms that are written at the same time. */
const CACHE_KIB = 16_384

/**
 * Opens the file, creates it where it is missing, and brings its tables to the present version.
 * To be closed with `close(true)`: without it, the file and its lock stay taken until the garbage collector comes.
 * @throws StoreError saying what to do: not a database, damaged, from a newer version, not writable.
 */
export function openDatabase(path: string): Database {
  let db: Database | undefined
  try {
    db = new Database(path, { create: true, readwrite: true })
    // A process that ends without closing the store must leave the log as it is: a start looks for it.
    db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1)
    // Nothing waits for a lock on the event loop: the writer tries again a little later.
    db.run('PRAGMA busy_timeout = 0')
    db.run('PRAGMA journal_mode = WAL')
    // A commit is in the write-ahead log before it is acknowledged: it survives the process. WalSync adds the disk.
    db.run('PRAGMA synchronous = NORMAL')
    // Copying the log back into the file waits for the disk: the checkpointer's thread does it.
    db.run('PRAGMA wal_autocheckpoint = 0')
    db.run(`PRAGMA cache_size = -${CACHE_KIB}`)
    db.run('PRAGMA temp_store = MEMORY')
    migrate(db, path)
    return db
  } catch (error) {
    db?.close(true)
    throw error instanceof StoreError ? error : new StoreError(explainOpening(path, error), { cause: error })
  }
}

/** What a failure is about: another writer, the store as a whole, or the one row that was written. */
export type FailureKind = 'busy' | 'store' | 'row'

/** Primary result codes, https://sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const NOTADB = 26

const STORE_FAILURES: ReadonlyMap<number, string> = new Map([
  [READONLY, 'it is read-only'],
  [IOERR, 'the disk reports an error'],
  [CORRUPT, 'the file is damaged'],
  [FULL, 'the disk is full'],
  [CANTOPEN, 'it cannot be opened'],
  [NOTADB, 'the file is not a database'],
])

export function kindOf(error: unknown): FailureKind {
  const code = primaryCode(error)
  if (code === BUSY || code === LOCKED || code === PROTOCOL) return 'busy'
  return code !== undefined && STORE_FAILURES.has(code) ? 'store' : 'row'
}

/** Whether the file itself is bad, and not the circumstances. */
export function isDamaged(error: unknown): boolean {
  const code = primaryCode(error)
  return code === CORRUPT || code === NOTADB
}

/** A failure in words for an operator. */
export function explain(error: unknown): string {
  const code = primaryCode(error)
  if (kindOf(error) === 'busy') return 'another process holds a lock on it'
  const known = code === undefined ? undefined : STORE_FAILURES.get(code)
  return known ?? (error instanceof Error ? error.message : String(error))
}

function primaryCode(error: unknown): number | undefined {
  return error instanceof SQLiteError ? error.errno & 0xff : undefined
}

/** Why a store cannot be opened, and how to go on. */
export function explainOpening(path: string, error: unknown): string {
  const why = explain(error)
  const code = primaryCode(error)
  if (isDamaged(error)) {
    return `The store ${path} cannot be opened: ${why}. Move it away (with its -wal file) to start with an empty one, or restore a backup.`
  }
  if (code === undefined || code === READONLY || code === CANTOPEN) {
    return `The store ${path} cannot be opened: ${why}. The server must be able to write this file and its folder; store.path names another.`
  }
  return `The store ${path} cannot be opened: ${why}.`
}
