/**
 * Cuts off who does not read. A native publish tells that somebody is under back-pressure, not who: then every
 * connection's buffer is looked at, which costs about 30 nanoseconds each. The client resumes from where it was.
 */
import { CLOSE } from '../protocol/errors.ts'
import type { Laggards } from './laggards.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

/** Most milliseconds between a sign of pressure and the look: bursts that drain at once are nobody's fault. */
const LOOK_AFTER_MS = 100

export class SlowConsumers {
  private readonly registry: Registry
  private readonly maxPendingBytes: number
  private readonly close: (session: Session, code: number, reason: string) => void
  private readonly laggards: Laggards | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private soon: ReturnType<typeof setImmediate> | undefined
  /** Bytes that met a full socket since the last look: no buffer has grown by more. */
  private unseenBytes = 0

  constructor(
    registry: Registry,
    maxPendingBytes: number,
    close: (session: Session, code: number, reason: string) => void,
    laggards?: Laggards,
  ) {
    this.registry = registry
    this.maxPendingBytes = maxPendingBytes
    this.close = close
    this.laggards = laggards
  }

  /**
   * Somebody does not keep up. Cheap to call often. Once a buffer may have grown from nothing to the limit it is looked at
   * in this very turn of the event loop: a fast publisher would reach the runtime's own limit first, which closes without a code.
   * @param bytes what was sent into a full socket.
   */
  suspect(bytes: number): void {
    this.unseenBytes += bytes
    if (this.unseenBytes >= this.maxPendingBytes) this.soon ??= setImmediate(() => this.look())
    else this.timer ??= setTimeout(() => this.look(), LOOK_AFTER_MS)
  }

  stop(): void {
    clearTimeout(this.timer)
    clearImmediate(this.soon)
    this.timer = undefined
    this.soon = undefined
  }

  private look(): void {
    this.stop()
    this.unseenBytes = 0
    let pressure = false
    for (const session of this.registry.all()) {
      const buffered = session.wire.bufferedBytes()
      const isSpared = this.laggards?.look(session, buffered) ?? false
      if (buffered > this.maxPendingBytes && !isSpared) this.close(session, CLOSE.slowConsumer, 'slow_consumer')
      else if (buffered > 0) pressure = true
    }
    // Whoever still has something waiting may pass the limit without another publish reporting it.
    if (pressure) this.suspect(0)
  }
}
