/**
 * The lease under which this instance answers for its connections. It is renewed while the process lives; where it ran out
 * all the same, because the process or Redis stood still, everything is brought in again before anything else is done.
 */
import type { Log } from '../../../core/log.ts'
import { reasonOf, unavailable } from '../failures.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import type { Script } from '../script.ts'
import { DEPART, LEASE, LOST } from './scripts.ts'

export interface LeaseOptions {
  readonly primary: Primary
  readonly keys: Keys
  readonly instance: string
  /** Milliseconds between two renewals. Default {@link RENEW_MS}. */
  readonly renewMs: number | undefined
  readonly log: Log
  /** Called when there is a new lease. */
  readonly replaced: () => void
  /** Brings everything in again under a new lease. */
  readonly restore: () => Promise<void>
  /** Called with every renewal: how many connections are written down for this instance. */
  readonly renewed: (count: number) => void
}

/** Milliseconds after which the connections of an instance that says nothing are taken out by others. */
export const LEASE_MS = 15_000
/** Milliseconds between two renewals: four may be lost. */
export const RENEW_MS = 3000
/** Leases that may be lost one after the other while something is asked: Redis is being flushed. */
const MAX_LOSSES = 3

export class Lease {
  private readonly options: LeaseOptions
  private readonly timer: ReturnType<typeof setInterval>
  private name = newName()
  private restoring: Promise<void> | undefined
  private readonly ownChannel: string
  private invalid = false

  constructor(options: LeaseOptions) {
    this.options = options
    this.ownChannel = options.keys.instanceChannel(options.instance)
    this.timer = setInterval(() => void this.renew(), options.renewMs ?? RENEW_MS)
    this.timer.unref()
  }

  /** Takes the first lease. */
  async begin(): Promise<void> {
    await this.take()
  }

  /** Runs a script under the lease; where it is over, after everything has been brought in again. */
  async run(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    for (let n = 0; n < MAX_LOSSES; n++) {
      if (this.invalid) await this.restore()
      await this.restoring
      const reply = await this.runOnce(script, args)
      if (reply !== LOST) return reply
      await this.restore()
    }
    throw unavailable('The directory is being replaced')
  }

  /** As {@link run}, for what brings things in again: it must not wait for itself. */
  runOnce(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    const { instance, keys, primary } = this.options
    return primary.ask((redis) => script.run(redis, [], [keys.prefix, instance, this.name, ...args]))
  }

  /** The data is of another epoch, and some of it may be missing: before the next script everything is brought in again. */
  invalidate(): void {
    this.invalid = true
  }

  private restore(): Promise<void> {
    this.restoring ??= this.replace().finally(() => {
      this.restoring = undefined
    })
    return this.restoring
  }

  async end(): Promise<void> {
    clearInterval(this.timer)
    await this.runOnce(DEPART, [])
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private async replace(): Promise<void> {
    const { instance, log, replaced, restore } = this.options
    // Until everything is there: under the new lease nobody would notice what is missing.
    this.invalid = true
    this.name = newName()
    await this.take()
    log.warn('redis_lease_lost', { instance })
    replaced()
    await restore()
    this.invalid = false
  }

  private async take(): Promise<void> {
    await this.runOnce(LEASE, [LEASE_MS, 1, this.ownChannel])
  }

  private async renew(): Promise<void> {
    const { log, renewed } = this.options
    try {
      renewed(Number(await this.run(LEASE, [LEASE_MS, 0, this.ownChannel])))
    } catch (error) {
      log.debug('redis_lease_not_renewed', { reason: reasonOf(error) })
    }
  }
}

function newName(): string {
  return crypto.getRandomValues(new Uint8Array(9)).toBase64({ alphabet: 'base64url' })
}
