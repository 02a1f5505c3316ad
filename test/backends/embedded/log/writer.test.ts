import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { openDatabase } from '../../../../src/backends/embedded/log/database.ts'
import { type Write, Writer, type WriterOptions } from '../../../../src/backends/embedded/log/writer.ts'
import { TidingsError } from '../../../../src/protocol/errors.ts'
import { type Line, recordingLog, Site, until } from './support.ts'

/** A writer on a database of its own, and what it said. */
class Bench implements AsyncDisposable {
  readonly site = new Site()
  readonly db: Database = openDatabase(this.site.path)
  readonly lines: Line[] = []
  /** Numbers written, for each commit. */
  readonly commits: number[][] = []
  readonly writer: Writer
  private readonly insert

  constructor(options: Partial<WriterOptions> = {}) {
    this.db.run('CREATE TABLE numbers (n INTEGER PRIMARY KEY, filling BLOB)')
    this.insert = this.db.prepare<void, [number | null, Uint8Array]>('INSERT INTO numbers VALUES (?, ?)')
    this.writer = new Writer({
      db: this.db,
      log: recordingLog(this.lines),
      monotonic: () => performance.now(),
      maxQueueBytes: 1000,
      hooks: {
        finish: () => {},
        undone: () => {},
        committed: (writes) => {
          this.commits.push(writes.map((write) => (write instanceof Numbered ? write.n : Number.NaN)))
          for (const write of writes) write.committed()
        },
      },
      ...options,
    })
  }

  /** Writes a number; resolves to it, or to the error. */
  write(n: number, bytes = 1): Promise<number | TidingsError> {
    const filling = new Uint8Array(bytes)
    return new Promise((resolve) => {
      this.writer.enqueue(new Numbered(n, () => this.insert.run(n, filling), resolve))
    })
  }

  numbers(): number[] {
    return this.db
      .prepare<{ n: number }, []>('SELECT n FROM numbers ORDER BY n')
      .all()
      .map(({ n }) => n)
  }

  events(): string[] {
    return this.lines.map(({ event }) => event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer.close()
    this.db.close(true)
    await this.site[Symbol.asyncDispose]()
  }
}

class Numbered implements Write {
  readonly bytes = 10
  readonly n: number
  readonly run: () => void
  private readonly resolve: (outcome: number | TidingsError) => void

  constructor(n: number, run: () => void, resolve: (outcome: number | TidingsError) => void) {
    this.n = n
    this.run = run
    this.resolve = resolve
  }

  committed(): void {
    this.resolve(this.n)
  }

  failed(error: TidingsError): void {
    this.resolve(error)
  }
}

function names(outcomes: readonly (number | TidingsError)[]): (number | string)[] {
  return outcomes.map((outcome) => (outcome instanceof TidingsError ? outcome.errorName : outcome))
}

describe('a batch', () => {
  test('is everything that one turn of the event loop wants written', async () => {
    await using bench = new Bench()
    await Promise.all([bench.write(1), bench.write(2), bench.write(3)])
    await bench.write(4)
    expect(bench.commits).toEqual([[1, 2, 3], [4]])
  })

  test('ends when its time is up, and the rest comes in the next turn', async () => {
    let now = 0
    await using bench = new Bench({ monotonic: () => now++, maxQueueBytes: 10_000 })
    await Promise.all(Array.from({ length: 300 }, (_, n) => bench.write(n)))
    expect(bench.commits.length).toBeGreaterThan(1)
    expect(bench.commits.flat()).toEqual(Array.from({ length: 300 }, (_, n) => n))
  })

  test('with a bad row is committed without it', async () => {
    await using bench = new Bench()
    await bench.write(2)
    const outcomes = await Promise.all([bench.write(1), bench.write(2), bench.write(3)])
    expect(names(outcomes)).toEqual([1, 'internal_error', 3])
    expect(bench.commits.flat()).toEqual([2, 1, 3])
    expect(bench.numbers()).toEqual([1, 2, 3])
    expect(bench.writer.failing).toBeUndefined()
  })

  test('that a hook spoils is tried once more without what could be left out', async () => {
    const careful: boolean[] = []
    await using bench = new Bench({
      hooks: {
        finish: (_, isCareful) => {
          careful.push(isCareful)
          if (!isCareful) throw new Error('housekeeping is broken')
        },
        undone: () => {},
        committed: (writes) => {
          for (const write of writes) write.committed()
        },
      },
    })
    expect(await bench.write(1)).toBe(1)
    expect(careful).toEqual([false, true])
  })
})

describe('a full disk', () => {
  test('refuses what comes, saying when to try again, and takes it again when there is room', async () => {
    await using bench = new Bench()
    bench.db.run('PRAGMA max_page_count = 20')
    const refused = await bench.write(1, 500_000)
    expect(refused).toMatchObject({ errorName: 'unavailable', retryAfterMs: 1000 })
    expect(bench.writer.failing).toBe('the disk is full')
    expect(bench.numbers()).toEqual([])
    await bench.write(1, 500_000)
    bench.db.run('PRAGMA max_page_count = 1000000')
    expect(await bench.write(1, 500_000)).toBe(1)
    expect(bench.writer.failing).toBeUndefined()
    expect(bench.events()).toEqual(['store_failing', 'store_recovered'])
  })
})

describe('a database that became read-only', () => {
  test('refuses what comes, and takes it again when it can be written', async () => {
    await using bench = new Bench()
    bench.db.run('PRAGMA query_only = 1')
    expect(names(await Promise.all([bench.write(1), bench.write(2)]))).toEqual(['unavailable', 'unavailable'])
    expect(bench.writer.failing).toBe('it is read-only')
    bench.db.run('PRAGMA query_only = 0')
    expect(await bench.write(1)).toBe(1)
  })
})

describe('a database that another process has locked', () => {
  test('is waited for, and what was waiting is one batch', async () => {
    await using bench = new Bench()
    const other = new Database(bench.site.path)
    other.run('BEGIN IMMEDIATE')
    const first = bench.write(1)
    // Written to in vain: a turn of the event loop later it has been tried.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    const second = bench.write(2)
    expect(bench.commits).toEqual([])
    other.run('COMMIT')
    other.close(true)
    expect(await Promise.all([first, second])).toEqual([1, 2])
    expect(bench.commits).toEqual([[1, 2]])
    expect(bench.events()).toEqual([])
  })

  test('is not waited for longer than a client would wait', async () => {
    let now = 0
    await using bench = new Bench({ monotonic: () => now })
    const other = new Database(bench.site.path)
    other.run('BEGIN IMMEDIATE')
    const outcomes = Promise.all([bench.write(1), bench.write(2)])
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    now += 60_000
    expect(names(await outcomes)).toEqual(['unavailable', 'unavailable'])
    expect(bench.writer.failing).toBe('another process holds a lock on it')
    other.run('COMMIT')
    other.close(true)
    expect(await bench.write(3)).toBe(3)
    expect(bench.writer.failing).toBeUndefined()
  })
})

describe('the queue', () => {
  test('is bounded in bytes, and refuses with the time of the next try', async () => {
    await using bench = new Bench({ maxQueueBytes: 20 })
    const waiting = [bench.write(1), bench.write(2)]
    const refused = await bench.write(3).catch((error) => error)
    expect(refused).toMatchObject({ errorName: 'unavailable', retryAfterMs: 250 })
    expect(await Promise.all(waiting)).toEqual([1, 2])
    expect(await bench.write(3)).toBe(3)
  })

  test('waits while writing is paused', async () => {
    await using bench = new Bench()
    bench.writer.pause()
    const waiting = [bench.write(1), bench.write(2)]
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(bench.commits).toEqual([])
    bench.writer.resume()
    await Promise.all(waiting)
    expect(bench.commits).toEqual([[1, 2]])
  })

  test('is written before the writer is closed', async () => {
    await using bench = new Bench()
    const waiting = bench.write(1)
    await bench.writer.close()
    expect(await waiting).toBe(1)
    await until(() => bench.commits.length === 1)
  })
})
