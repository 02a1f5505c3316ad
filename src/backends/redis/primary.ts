/**
 * The one Redis that gives the order: the connections to it, and the epoch of its data. Commands and subscriptions go by
 * two connections, which must lead to the same server; commands are given out once the epoch is known.
 */
import type { Redis } from 'ioredis'
import type { CursorClock } from '../../core/cursor-clock.ts'
import type { Log } from '../../core/log.ts'
import type { TidingsError } from '../../protocol/errors.ts'
import type { Address } from './address.ts'
import type { BackendError } from './backend-error.ts'
import { Connection } from './connection.ts'
import { isDemoted, messageOf, refusalOf, unavailable } from './failures.ts'
import { type Epoch, FENCE, FENCED, parseEpoch } from './fence.ts'
import type { Keys } from './keys.ts'
import { Link, type LinkOptions } from './link.ts'

export interface PrimaryOptions {
  readonly address: Address
  readonly keys: Keys
  /** This instance's name, unique in the deployment. */
  readonly instance: string
  /** Messages are stored by a connection of its own, because it waits for replicas and holds up what comes after. */
  readonly ownWriter: boolean
  readonly clock: CursorClock
  readonly log: Log
}

/** What is told of the primary, each in the turn in which it is known. */
export interface PrimaryListener {
  /** Commands can be given. */
  onCommands(): void
  /** Commands can be given, and this connection can subscribe: a new one, without any subscription. */
  onSubscriber(subscriber: Redis): void
  /** Nothing comes by the subscriber's connection any more. */
  onSilence(): void
  /** Another epoch has begun; `before` is absent for the first one that this instance knows. */
  onEpoch(epoch: Epoch, before: Epoch | undefined): void
  /** It cannot work until somebody changes something. */
  onHopeless(error: BackendError): void
}

/** Epochs that may follow one another while one question is asked: Redis is being flushed. */
const MAX_EPOCHS = 3

export class Primary {
  private readonly options: PrimaryOptions
  private readonly listener: PrimaryListener
  private readonly commandLink: Link
  private readonly writerLink: Link
  private readonly subscriberLink: Link
  private known: Epoch | undefined
  private highest = 0
  private renewing: Promise<void> | undefined
  private announced: Redis | undefined

  constructor(options: PrimaryOptions, listener: PrimaryListener) {
    this.options = options
    this.listener = listener
    const silent = { onUp: () => {}, onDown: () => {} }
    this.commandLink = this.link('commands', {
      prepare: (connection) => this.fence(connection),
      onUp: () => {
        this.listener.onCommands()
        this.announce()
      },
      onDown: () => {},
    })
    this.writerLink = options.ownWriter ? this.link('writer', silent) : this.commandLink
    this.subscriberLink = this.link('subscriber', {
      onUp: () => this.announce(),
      onDown: () => {
        if (this.announced === undefined) return
        this.announced = undefined
        this.listener.onSilence()
      },
    })
  }

  /** The epoch of the data; absent before the first one is known. */
  get epoch(): Epoch | undefined {
    return this.known
  }

  /** The highest cursor that this instance knows to have been issued. */
  get seen(): number {
    return this.highest
  }

  see(cursor: number): void {
    if (cursor > this.highest) this.highest = cursor
  }

  /** Why Redis cannot be used; absent: it can. */
  get reason(): string | undefined {
    const why = this.commandLink.reason ?? this.subscriberLink.reason ?? this.writerLink.reason
    return why === undefined ? undefined : `No connection to Redis (${this.options.address.name}): ${why}`
  }

  /** The connection for commands, for what needs no answer and no epoch; absent while there is none. */
  get redis(): Redis | undefined {
    return this.commandLink.connection?.redis
  }

  /**
   * Asks Redis something, in the epoch that is known; where it is another one, that is learned and the question repeated.
   * @param question MUST be repeatable.
   * @throws TidingsError `unavailable`
   */
  async ask<T>(question: (redis: Redis, epoch: string) => Promise<T | typeof FENCED>): Promise<T> {
    for (let n = 0; n < MAX_EPOCHS; n++) {
      const { connection } = this.commandLink
      if (connection === undefined || this.known === undefined) throw unavailable('The store cannot be reached')
      try {
        const answer = await question(connection.redis, this.known.name)
        if (answer !== FENCED) return answer
        await this.renew()
      } catch (error) {
        throw this.failed(error, connection)
      }
    }
    throw unavailable('The store is being replaced')
  }

  /** The connection by which messages are stored. */
  get writer(): Connection | undefined {
    const writer = this.writerLink.connection
    const commands = this.commandLink.connection
    if (writer === undefined || commands === undefined) return undefined
    if (writer.server.runId === commands.server.runId) return writer
    this.writerLink.drop('it leads to another server than the one for commands')
    return undefined
  }

  /** Learns which epoch it is now. Called where a script has answered {@link FENCED}. */
  renew(): Promise<void> {
    this.renewing ??= this.learn().finally(() => {
      this.renewing = undefined
    })
    return this.renewing
  }

  /** What a failed command means: the connection is given up where it does not answer, or the server has no say any more. */
  failed(error: unknown, connection: Connection): TidingsError {
    const refusal = refusalOf(error)
    if (refusal === undefined || isDemoted(messageOf(error))) connection.end(messageOf(error))
    return unavailable(refusal === undefined ? 'The store does not answer' : 'The store refuses', error)
  }

  /** Breaks the subscriber's connection, because nothing comes by it. */
  dropSubscriber(reason: string): void {
    this.subscriberLink.drop(reason)
  }

  /** Breaks the connection for commands: the server is to be asked anew who it is. */
  dropCommands(reason: string): void {
    this.commandLink.drop(reason)
  }

  stop(): void {
    this.subscriberLink.stop()
    this.writerLink.stop()
    this.commandLink.stop()
  }

  private async learn(): Promise<void> {
    const { connection } = this.commandLink
    if (connection === undefined) throw new Error('the connection was closed')
    await this.fence(connection)
  }

  private async fence(connection: Connection): Promise<void> {
    const { clock, keys, log } = this.options
    const { run } = await connection.look()
    const known = this.known?.name ?? ''
    const durable = known === '' && (await writesThrough(connection.redis))
    const fresh = crypto.getRandomValues(new Uint8Array(9)).toBase64({ alphabet: 'base64url' })
    const args = [run, fresh, known, clock.now(), this.highest, durable ? 1 : 0]
    const epoch = parseEpoch(await FENCE.run(connection.redis, [keys.log], args))
    const before = this.known
    this.known = epoch
    this.see(epoch.last)
    if (before?.name === epoch.name) return
    if (before !== undefined) log.warn('redis_epoch', { floor: epoch.floor, complete_since: epoch.since })
    this.listener.onEpoch(epoch, before)
  }

  /** Tells of the subscriber's connection when it is there and leads to where commands go. */
  private announce(): void {
    const commands = this.commandLink.connection
    const subscriber = this.subscriberLink.connection
    if (commands === undefined || subscriber === undefined) return
    if (commands.server.runId !== subscriber.server.runId) {
      this.subscriberLink.drop('it leads to another server than the one for commands')
      this.commandLink.drop('it leads to another server than the one for subscriptions')
      return
    }
    if (subscriber.redis === this.announced) return
    this.announced = subscriber.redis
    this.listener.onSubscriber(subscriber.redis)
  }

  private link(name: string, events: Pick<LinkOptions, 'prepare' | 'onUp' | 'onDown'>): Link {
    const { address, instance, log } = this.options
    return new Link({
      ...events,
      name,
      log,
      open: (onClosed) => Connection.open(address.options, `tidings-${instance}-${name}`, onClosed),
      onHopeless: (error) => this.listener.onHopeless(error),
    })
  }
}

/** Whether Redis has written to the disk what it has answered. Where it does not tell, it is taken not to. */
async function writesThrough(redis: Redis): Promise<boolean> {
  try {
    const settings = (await redis.config('GET', 'append*')) as string[]
    const setting = (name: string): string | undefined => settings[settings.indexOf(name) + 1]
    return setting('appendonly') === 'yes' && setting('appendfsync') === 'always'
  } catch (error) {
    if (refusalOf(error) === undefined) throw error
    return false
  }
}
