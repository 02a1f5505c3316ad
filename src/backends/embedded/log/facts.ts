/** The store's own facts: numbers and words by name, in the database beside the messages. */
import type { Database } from 'bun:sqlite'

/** What one run of the server leaves for the next. */
export interface RunFacts {
  /** The highest cursor issued: trimming or emptying the log never lowers it. */
  last: number
  /** Since which cursor the log is without a hole. */
  complete_since: number
  /** For how many milliseconds emptied topics were remembered. */
  horizon_ms: number
  /** A random name for the run. */
  run: string
  /** 1 where the run ended by itself. */
  clean: number
  durability: string
  /** The boot of the machine in which the run took place; empty where unknown. */
  boot: string
  /** The database file as the run found it, `device:inode`; empty where unknown. */
  file: string
}

export class Facts {
  private readonly select
  private readonly upsert

  constructor(db: Database) {
    this.select = db.prepare<{ name: string; value: number | string }, []>('SELECT name, value FROM facts')
    this.upsert = db.prepare<void, [string, number | string]>(
      'INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)',
    )
  }

  /** What the last run left; absent: there was none. */
  read(): RunFacts | undefined {
    const facts = Object.fromEntries(this.select.all().map(({ name, value }) => [name, value]))
    return 'run' in facts ? (facts as unknown as RunFacts) : undefined
  }

  write(facts: Partial<RunFacts>): void {
    for (const [name, value] of Object.entries(facts)) this.upsert.run(name, value)
  }

  writeLast(last: number): void {
    this.upsert.run('last', last)
  }
}
