/**
 * A client that writes once in a turn of the event loop, with all commands that were given in it, in the order given. The
 * client's own automatic pipelines write once too, but their commands wait for one another's answers.
 */
import { Redis } from 'ioredis'

export class GatheringRedis extends Redis {
  private gathering = false

  override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
    if (this.status === 'ready' && !this.gathering) this.gather()
    return super.sendCommand(...args)
  }

  private gather(): void {
    const { stream } = this
    this.gathering = true
    stream.cork()
    // A microtask would not do: one runs after every frame of a client.
    setImmediate(() => {
      this.gathering = false
      stream.uncork()
    })
  }
}
