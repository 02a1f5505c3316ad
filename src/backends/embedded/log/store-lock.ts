/**
 * The file beside the database that keeps a second process out. The lock is the kernel's, so it ends with the process
 * however that ends. It also bears witness, outside of the database, of the last run.
 */

import { Database } from 'bun:sqlite'
import { rmSync } from 'node:fs'
import { explain, isDamaged, kindOf } from './database.ts'
import { lockHolder } from './file-identity.ts'
import { StoreError } from './store-error.ts'

/** How long a process that is just ending is waited for, in milliseconds: a restart must not fail on it. */
const WAIT_MS = 1000

export interface Witness {
  readonly run: string
  readonly file: string
}

export class StoreLock {
  private readonly db: Database

  private constructor(db: Database) {
    this.db = db
  }

  /**
   * Takes the lock of the store at `path`; needs its folder.
   * @throws StoreError where another process has it.
   */
  static take(path: string): StoreLock {
    const lockPath = `${path}.lock`
    try {
      return new StoreLock(open(lockPath))
    } catch (error) {
      if (kindOf(error) === 'busy') throw new StoreError(inUse(path, lockPath), { cause: error })
      if (isDamaged(error)) {
        // Nothing is lost with it but the word that the store is as it was left.
        rmSync(lockPath, { force: true })
        return new StoreLock(open(lockPath))
      }
      throw new StoreError(
        `The store ${path} cannot be opened: ${lockPath}: ${explain(error)}. The server must be able to write this folder.`,
        { cause: error },
      )
    }
  }

  witness(): Witness {
    const row = this.db.prepare<Witness, []>('SELECT run, file FROM witness').get()
    return row ?? { run: '', file: '' }
  }

  /** Waits for the disk: only at the start and the end of a run. */
  testify(witness: Witness): void {
    this.db
      .prepare<void, [string, string]>('INSERT OR REPLACE INTO witness (one, run, file) VALUES (1, ?, ?)')
      .run(witness.run, witness.file)
  }

  release(): void {
    this.db.close(true)
  }
}

function open(lockPath: string): Database {
  const db = new Database(lockPath, { create: true, readwrite: true })
  try {
    db.run(`PRAGMA busy_timeout = ${WAIT_MS}`)
    // The lock of the first write stays until the file is closed.
    db.run('PRAGMA locking_mode = EXCLUSIVE')
    db.run(
      'CREATE TABLE IF NOT EXISTS witness (one INTEGER PRIMARY KEY CHECK (one = 1), run TEXT NOT NULL, file TEXT NOT NULL)',
    )
    db.run('BEGIN EXCLUSIVE')
    db.run('COMMIT')
    return db
  } catch (error) {
    db.close(true)
    throw error
  }
}

function inUse(path: string, lockPath: string): string {
  const holder = lockHolder(lockPath)
  const who = holder === undefined ? 'another process' : `process ${holder}`
  return `The store ${path} is in use by ${who}. Stop it, or name another file in store.path.`
}
