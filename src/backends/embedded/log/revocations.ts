/** Revocations, in the database: a restart must not make tokens good again that were taken back. */

import type { Database } from 'bun:sqlite'
import type { KeptRevocations, RevocationChange, Revocations } from '../../../core/ports/revocations.ts'
import type { Revocation } from '../../../core/revocation.ts'
import { readSafely } from './reading.ts'
import type { Write } from './writer.ts'

/** Revocations that one step of {@link StoredRevocations.drop} removes. */
const DROP_STEP = 100

export interface RevocationsOptions {
  readonly db: Database
  readonly wallMs: () => number
  readonly enqueue: (write: Write) => void
}

export class StoredRevocations implements Revocations {
  private readonly options: RevocationsOptions
  private readonly select
  private readonly upsert
  private readonly dropOld
  /** Changes since the start: this process alone writes. */
  private changes = 0

  constructor(options: RevocationsOptions) {
    const { db } = options
    this.options = options
    this.select = db.prepare<Revocation, []>('SELECT scope, issued_before AS issuedBefore, until FROM revocations')
    this.upsert = db.prepare<void, [string, number, number]>(
      `INSERT INTO revocations (scope, issued_before, until) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET
         issued_before = max(issued_before, excluded.issued_before), until = max(until, excluded.until)`,
    )
    this.dropOld = db.prepare<void, [number, number]>(
      'DELETE FROM revocations WHERE scope IN (SELECT scope FROM revocations WHERE until <= ? LIMIT ?)',
    )
  }

  add({ scope, issuedBefore, until }: Revocation): Promise<RevocationChange> {
    return new Promise((resolve, reject) => {
      this.options.enqueue({
        bytes: 0,
        run: () => void this.upsert.run(scope, issuedBefore, until),
        committed: () => resolve({ before: String(this.changes), version: String(++this.changes) }),
        failed: reject,
      })
    })
  }

  all(known?: string): KeptRevocations | undefined {
    const version = String(this.changes)
    return known === version ? undefined : { version, revocations: readSafely(() => this.select.all()) }
  }

  /** Drops a bounded piece of what is past its time. Inside of a transaction. */
  drop(): void {
    this.dropOld.run(this.options.wallMs(), DROP_STEP)
  }
}
