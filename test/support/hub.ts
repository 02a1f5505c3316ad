/** A hub without a runtime: native topics are sets of wires, and what a client would read is a list of frames. */
import { createRoomRules } from '../../src/auth/rules.ts'
import { createEmbeddedBackend } from '../../src/backends/embedded/backend.ts'
import { type ConfigInput, configFrom } from '../../src/config.ts'
import { emptyApplication } from '../../src/core/application.ts'
import { systemClock } from '../../src/core/clock.ts'
import { Hub } from '../../src/core/hub.ts'
import { newConnectionId } from '../../src/core/ids.ts'
import { silentLog } from '../../src/core/log.ts'
import type { Start } from '../../src/core/opening.ts'
import { Session } from '../../src/core/session.ts'
import type { NativeTopics, Wire } from '../../src/core/wire.ts'
import { builtIns } from '../../src/handlers/index.ts'
import { type Encoded, encodingFor } from '../../src/protocol/encoding.ts'
import type { ServerFrame } from '../../src/protocol/frames.ts'

class FakeNative implements NativeTopics {
  private readonly topics = new Map<string, Set<FakeWire>>()

  of(topic: string): Set<FakeWire> {
    const wires = this.topics.get(topic) ?? new Set()
    this.topics.set(topic, wires)
    return wires
  }

  publish(topic: string, data: Encoded): boolean {
    for (const wire of this.of(topic)) wire.send(data)
    return true
  }
}

export class FakeWire implements Wire {
  readonly transport = 'websocket'
  readonly native: boolean
  readonly silence = 'dead'
  readonly frames: ServerFrame[] = []
  ended: { code: number; reason: string } | undefined
  buffered = 0
  private readonly topics: FakeNative

  constructor(topics: FakeNative, native: boolean) {
    this.topics = topics
    this.native = native
  }

  send(data: Encoded): void {
    this.frames.push(JSON.parse(String(data)))
  }

  sendAll(batch: readonly Encoded[]): void {
    for (const data of batch) this.send(data)
  }

  subscribe(topic: string): void {
    this.topics.of(topic).add(this)
  }

  unsubscribe(topic: string): void {
    this.topics.of(topic).delete(this)
  }

  publish(topic: string, data: Encoded): boolean {
    for (const wire of this.topics.of(topic)) if (wire !== this) wire.send(data)
    return true
  }

  probe(): void {}

  bufferedBytes(): number {
    return this.buffered
  }

  end(code: number, reason: string): void {
    this.ended = { code, reason }
  }

  /** Cursors of what moves the position, in the order of arrival. */
  get cursors(): string[] {
    return this.frames.flatMap(({ cursor, type, history }) =>
      cursor !== undefined && type === 'chat' && !history ? [cursor] : [],
    )
  }
}

export interface Opened {
  readonly session: Session
  readonly wire: FakeWire
}

export class TestHub implements AsyncDisposable {
  readonly hub: Hub
  private readonly native = new FakeNative()

  constructor(input: ConfigInput = {}) {
    const config = configFrom({ store: { path: ':memory:' }, ...input }, 'development')
    this.hub = new Hub({
      config,
      application: emptyApplication(),
      rules: createRoomRules(config.rooms, 'admin'),
      native: this.native,
      backend: createEmbeddedBackend({
        path: ':memory:',
        durability: 'process',
        idempotencyMs: 120_000,
        horizonMs: 86_400_000,
        maxStateBytes: 65_536,
        clock: systemClock,
        log: silentLog,
      }),
      builtIns,
      verify: () => Promise.reject(new Error('no tokens here')),
      log: silentLog,
      clock: systemClock,
      observers: [],
    })
  }

  /** Opens a session and returns at once: what it is sent comes when it comes. */
  open(
    userId: string,
    start: Partial<Start> = {},
    options: { native?: boolean; deviceId?: string; explicitAck?: boolean } = {},
  ): Opened {
    const wire = new FakeWire(this.native, options.native ?? true)
    const session = new Session(
      {
        connectionId: newConnectionId(),
        identity: { userId, roles: [] },
        deviceId: options.deviceId ?? 'd1',
        encoding: encodingFor('json', 'payload'),
        ip: '127.0.0.1',
        addressKey: '127.0.0.1',
        userAgent: undefined,
        explicitAck: options.explicitAck ?? true,
        durableDevice: true,
        connectedAt: systemClock.now(),
        since: systemClock.monotonic(),
      },
      wire,
    )
    this.hub.open(session, { rooms: [], cursor: undefined, former: undefined, ...start })
    return { session, wire }
  }

  /** Publishes a chat message to a room and resolves with its cursor. */
  async chat(room: string, payload: unknown = 1): Promise<string> {
    const { cursor } = await this.hub.publish({ to: { kind: 'room', room }, type: 'chat', payload })
    return cursor ?? ''
  }

  /** Publishes a chat message to a user and resolves with its cursor. */
  async direct(userId: string, payload: unknown = 1): Promise<string> {
    const { cursor } = await this.hub.publish({ to: { kind: 'user', userId }, type: 'chat', payload })
    return cursor ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hub.stop()
    await this.hub.backend.close()
  }
}

/** Resolves when a condition holds; looks once a turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
