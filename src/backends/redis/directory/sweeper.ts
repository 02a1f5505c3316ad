/** Takes out the connections of instances whose lease has run out. Every instance does; each connection is swept once. */
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Listed } from '../../../core/ports/directory.ts'
import { reasonOf } from '../failures.ts'
import { type Lease, RENEW_MS } from './lease.ts'
import { type Lists, listedOf } from './lists.ts'
import { SWEEP } from './scripts.ts'

export interface SweeperOptions {
  readonly lease: Lease
  readonly lists: Lists
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Log
  readonly onLost: (connection: Listed) => void
}

/**
 * Milliseconds for which nothing is swept after Redis was away: where it stood still for all, the others need a renewal to
 * be alive again, and whoever comes first would take them for dead.
 */
const REST_MS = 2 * RENEW_MS
/** Connections taken out by one script: about a millisecond of Redis' time, in which it does nothing else. */
const STEP = 10
/** Milliseconds between two looks for dead instances: with the lease, this is how long the dead are taken for alive. */
const LOOK_MS = 1000

export class Sweeper {
  private readonly options: SweeperOptions
  private readonly timer: ReturnType<typeof setInterval>
  private sweeping = false
  private restsUntil = 0
  private stopped = false

  constructor(options: SweeperOptions) {
    this.options = options
    this.timer = setInterval(() => void this.look(), LOOK_MS)
    this.timer.unref()
  }

  /** Redis is back: the others get the time to say that they live. */
  rest(): void {
    this.restsUntil = this.options.clock.monotonic() + REST_MS
  }

  stop(): void {
    this.stopped = true
    clearInterval(this.timer)
  }

  private async look(): Promise<void> {
    const { clock, lists, log } = this.options
    if (this.sweeping || clock.monotonic() < this.restsUntil) return
    this.sweeping = true
    try {
      const { dead } = await lists.instances()
      for (const instance of dead) await this.sweep(instance)
    } catch (error) {
      log.debug('redis_sweep_failed', { reason: reasonOf(error) })
    } finally {
      this.sweeping = false
    }
  }

  private async sweep(instance: string): Promise<void> {
    const { lease, log, onLost } = this.options
    let swept = 0
    for (let left = 1; left > 0 && !this.stopped; ) {
      const [count, ...found] = (await lease.run(SWEEP, [instance, STEP])) as [number, ...(string | string[])[]]
      left = count
      for (let n = 0; n < found.length; n += 2) {
        swept++
        for (const connection of listedOf(String(found[n]), fieldsOf(found[n + 1] as string[]))) onLost(connection)
      }
    }
    if (swept > 0) log.warn('redis_instance_swept', { instance, connections: swept })
  }
}

/** The fields of a hash, as scripts answer them. */
function fieldsOf(reply: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let n = 0; n < reply.length; n += 2) fields[reply[n] ?? ''] = reply[n + 1] ?? ''
  return fields
}
