/** Stores in Redis for tests: each with a prefix of its own, instances that share it, a clock that a test moves. */
import { createRedisStore, type RedisStore, type RedisStoreOptions } from '../../../src/backends/redis/store.ts'
import type { Clock } from '../../../src/core/clock.ts'
import type { Log } from '../../../src/core/log.ts'
import type { Appended, Entry, LogGap, StoredMessage } from '../../../src/core/ports/log.ts'
import type { RedisServer } from '../../kit/redis.ts'

/** A clock that a test moves. On the wall it may be behind, because one that is ahead of Redis' own is not believed. */
export class TestClock implements Clock {
  private readonly behindMs: number
  private passed = 0

  constructor(behindMs = 0) {
    this.behindMs = behindMs
  }

  now(): number {
    return Date.now() + this.passed - this.behindMs
  }

  monotonic(): number {
    return performance.now() + this.passed
  }

  pass(ms: number): void {
    this.passed += ms
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

let counter = 0

/** An instance as far as its store goes, and what it was told. */
export class Instance implements AsyncDisposable {
  readonly store: RedisStore
  readonly told: StoredMessage[] = []
  readonly gaps: LogGap[] = []
  readonly lines: Line[]

  private constructor(store: RedisStore, lines: Line[]) {
    this.store = store
    this.lines = lines
    store.messages.onCommitted((batch) => this.told.push(...batch))
    store.messages.onGap((gap) => this.gaps.push(gap))
  }

  static async open(options: Partial<RedisStoreOptions> & { url: string; prefix: string }): Promise<Instance> {
    const lines: Line[] = []
    const store = createRedisStore({
      minReplicas: 0,
      instance: `i${++counter}`,
      idempotencyMs: 120_000,
      horizonMs: 3_600_000,
      maxStateBytes: 65_536,
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      log: recordingLog(lines),
      ...options,
    })
    const instance = new Instance(store, lines)
    await store.begin()
    return instance
  }

  get messages(): RedisStore['messages'] {
    return this.store.messages
  }

  get bodies(): string[] {
    return this.told.map(({ body }) => body)
  }

  async want(...topics: string[]): Promise<void> {
    await Promise.all(topics.map((topic) => this.messages.interest(topic, true)))
  }

  publish(topic: string, body: string, more: Partial<Entry> = {}): Promise<Appended> {
    return this.messages.append(entry(topic, body, more))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

export function entry(topic: string, body: string, more: Partial<Entry> = {}): Entry {
  const retention = { maxMessages: 100_000, maxAgeMs: 3_600_000 }
  return { topic, id: `m${++counter}`, body, at: Date.now(), retention, ...more }
}

/** A prefix that no other test has. */
export function newPrefix(): string {
  return `test${++counter}-${process.pid}`
}

/** Instances that share a Redis and a prefix. */
export async function openInstances(server: RedisServer, count: number, more: Partial<RedisStoreOptions> = {}) {
  const prefix = newPrefix()
  const open = (url = server.url): Promise<Instance> => Instance.open({ ...more, url, prefix })
  const instances: Instance[] = []
  for (let n = 0; n < count; n++) instances.push(await open())
  return { prefix, instances, open }
}
