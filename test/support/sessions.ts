import type { Clock } from '../../src/core/clock.ts'
import type { Identity } from '../../src/core/identity.ts'
import { newConnectionId } from '../../src/core/ids.ts'
import { Session, type SessionInit } from '../../src/core/session.ts'
import type { Wire } from '../../src/core/wire.ts'
import { type Encoded, encodingFor } from '../../src/protocol/encoding.ts'
import type { ServerFrame } from '../../src/protocol/frames.ts'

/** The end of a wire that writes down what happens to it. */
export class RecordingWire implements Wire {
  readonly transport = 'websocket'
  readonly silence = 'dead'
  readonly native: boolean
  readonly frames: ServerFrame[] = []
  readonly topics = new Set<string>()
  probes = 0
  buffered = 0
  ended: { code: number; reason: string } | undefined

  constructor(native = true) {
    this.native = native
  }

  send(data: Encoded): void {
    this.frames.push(JSON.parse(data.toString()))
  }

  sendAll(batch: readonly Encoded[]): void {
    for (const data of batch) this.send(data)
  }

  subscribe(topic: string): void {
    this.topics.add(topic)
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic)
  }

  publish(): boolean {
    return true
  }

  probe(): void {
    this.probes++
  }

  bufferedBytes(): number {
    return this.buffered
  }

  end(code: number, reason: string): void {
    this.ended = { code, reason }
  }
}

/** An open session on a wire that writes down, for tests of one part of the core. */
export function makeSession(
  clock: Clock,
  identity: Partial<Identity> = {},
  wire = new RecordingWire(),
  init: Partial<SessionInit> = {},
): Session & { readonly wire: RecordingWire } {
  const session = new Session(
    {
      connectionId: newConnectionId(),
      identity: { userId: 'alice', roles: [], ...identity },
      deviceId: 'd',
      encoding: encodingFor('json', 'payload'),
      ip: '127.0.0.1',
      addressKey: '127.0.0.1',
      userAgent: undefined,
      explicitAck: true,
      durableDevice: true,
      connectedAt: clock.now(),
      since: clock.monotonic(),
      ...init,
    },
    wire,
  )
  session.state = 'open'
  return session as Session & { readonly wire: RecordingWire }
}
