/** Stores for tests: in folders of their own, with a clock that a test moves and a log that it can read. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, type Store, type StoreOptions } from '../../../../src/backends/embedded/log/store.ts'
import { type Clock, systemClock } from '../../../../src/core/clock.ts'
import type { Log } from '../../../../src/core/log.ts'
import type { Entry } from '../../../../src/core/ports/log.ts'
import { CONTRACT_OPTIONS } from '../../../contracts/log.ts'

export class TestClock implements Clock {
  /** Added to the wall clock and to the time that passes. */
  passed = 0
  /** Added to the wall clock alone, as when somebody sets it. */
  set = 0

  now(): number {
    return Date.now() + this.passed + this.set
  }

  monotonic(): number {
    return performance.now() + this.passed
  }
}

export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function recordingLog(lines: Line[]): Log {
  const at =
    (level: string): Log['info'] =>
    (event, fields = {}) => {
      lines.push({ level, event, fields })
    }
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log }
  return log
}

export function testOptions(path: string, lines: Line[] = []): StoreOptions {
  const log = recordingLog(lines)
  return { path, durability: 'process', ...CONTRACT_OPTIONS, maxStateBytes: 65_536, clock: systemClock, log }
}

/** A place for a store, which can be opened again and again. */
export class Site implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tidings-store-'))
  readonly path: string = join(this.folder, 'tidings.db')
  readonly clock = new TestClock()
  readonly lines: Line[] = []
  private readonly stores: Store[] = []

  open(options: Partial<StoreOptions> = {}): Store {
    const store = openStore({ ...testOptions(this.path, this.lines), clock: this.clock, ...options })
    this.stores.push(store)
    return store
  }

  events(): string[] {
    return this.lines.map(({ event }) => event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.stores) await store.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

let counter = 0

export function entry(topic: string, body: string, more: Partial<Entry> = {}): Entry {
  const retention = { maxMessages: 1000, maxAgeMs: 3_600_000 }
  return { topic, id: `m${++counter}`, body, at: Date.now(), retention, ...more }
}

/** Waits until something holds, looking again after every turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it did not come to be: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
