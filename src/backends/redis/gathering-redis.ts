/**
 * A client that writes at most twice in a turn of the event loop, in the order in which commands were given: the first at
 * once, because most turns have one and it should not wait, and what follows together at the end. The client's own
 * automatic pipelines write once too, but their commands wait for one another's answers.
 */
import { Redis } from 'ioredis'

export class GatheringRedis extends Redis {
  /** Whether a command was given in this turn. */
  private given = false
  private gathering = false

  override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
    if (this.status === 'ready') {
      if (!this.given) this.begin()
      else if (!this.gathering) this.gather()
    }
    return super.sendCommand(...args)
  }

  private begin(): void {
    const { stream } = this
    this.given = true
    // A microtask would not do: one runs after every frame of a client.
    setImmediate(() => {
      this.given = false
      if (!this.gathering) return
      this.gathering = false
      stream.uncork()
    })
  }

  private gather(): void {
    this.gathering = true
    this.stream.cork()
  }
}
