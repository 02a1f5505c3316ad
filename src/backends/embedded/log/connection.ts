/** A connection to a database file that is closed when it is told to be. */
import { Database, type SQLQueryBindings, type Statement } from 'bun:sqlite'

/**
 * SQLite keeps a connection, with its locks, until its last statement is gone, and the runtime leaves that to the garbage
 * collector. Here closing ends the statements first, so that the file is free when `close` returns.
 */
export class Connection {
  private readonly db: Database
  private readonly statements: Pick<Statement, 'finalize'>[] = []

  constructor(path: string) {
    this.db = new Database(path, { create: true, readwrite: true })
  }

  get inTransaction(): boolean {
    return this.db.inTransaction
  }

  /** Compiles a statement that lives as long as the connection. */
  prepare<Row, Params extends SQLQueryBindings[]>(sql: string): Statement<Row, Params> {
    // The library's type says the same in a form that the compiler cannot follow through a type parameter.
    const statement = this.db.prepare<Row, Params>(sql) as unknown as Statement<Row, Params>
    this.statements.push(statement)
    return statement
  }

  /** Runs one or several statements once. */
  run(sql: string): void {
    this.db.run(sql)
  }

  /** Runs a function as one transaction, which is undone where it throws. */
  transact(run: () => void): void {
    this.db.run('BEGIN IMMEDIATE')
    try {
      run()
      this.db.run('COMMIT')
    } catch (error) {
      if (this.db.inTransaction) this.db.run('ROLLBACK')
      throw error
    }
  }

  /** Sets a number that SQLite asks for by code, https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html */
  control(code: number, value: number): void {
    this.db.fileControl(code, value)
  }

  close(): void {
    for (const statement of this.statements.splice(0)) statement.finalize()
    this.db.close(true)
  }
}
