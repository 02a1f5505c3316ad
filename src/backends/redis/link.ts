/** Keeps one connection to Redis open: opens another one when it breaks, more slowly the longer that fails. */
import type { Log } from '../../core/log.ts'
import type { MaybePromise } from '../../core/maybe-promise.ts'
import { BackendError } from './backend-error.ts'
import type { Connection } from './connection.ts'
import { reasonOf } from './failures.ts'

/** Milliseconds before the first try after a break: most breaks are one cut connection. */
const FIRST_RETRY_MS = 20
/** The longest such time; a Redis that is back is found within it. */
const MAX_RETRY_MS = 1000

export interface LinkOptions {
  /** What it is for, in the log. */
  readonly name: string
  readonly log: Log
  readonly open: (onClosed: (reason: string) => void) => Promise<Connection>
  /** Called with every new connection, before it counts as up. Where it fails the connection is dropped. */
  readonly prepare?: (connection: Connection) => MaybePromise<void>
  readonly onUp: () => void
  /** Called once when a connection that was up breaks. */
  readonly onDown: (reason: string) => void
  /** A connection cannot be had until somebody changes something. It is tried all the same. */
  readonly onHopeless: (error: BackendError) => void
}

export class Link {
  private readonly options: LinkOptions
  private up: Connection | undefined
  private opened: Connection | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private failures = 0
  private stopped = false
  private why: string | undefined = 'not connected yet'

  constructor(options: LinkOptions) {
    this.options = options
    void this.connect()
  }

  /** The connection, while it is up. */
  get connection(): Connection | undefined {
    return this.up
  }

  /** Why it is not up; absent: it is. */
  get reason(): string | undefined {
    return this.up === undefined ? this.why : undefined
  }

  /** Breaks the connection; another one is opened. */
  drop(reason: string): void {
    this.opened?.end(reason)
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
    this.opened?.end('the server is stopping')
  }

  private async connect(): Promise<void> {
    let connection: Connection | undefined
    try {
      connection = await this.options.open((reason) => this.closed(connection, reason))
      if (this.stopped) {
        connection.end('the server is stopping')
        return
      }
      this.opened = connection
      await this.options.prepare?.(connection)
      if (this.opened !== connection) return
      this.up = connection
      this.why = undefined
      if (this.failures > 0) this.options.log.info('redis_connected', { link: this.options.name })
      this.failures = 0
      this.options.onUp()
    } catch (error) {
      // Where it broke meanwhile, that has led to the next try already.
      if (error instanceof BackendError && this.why !== error.message) this.options.onHopeless(error)
      if (connection === undefined) this.again(reasonOf(error))
      else connection.end(reasonOf(error))
    }
  }

  private closed(connection: Connection | undefined, reason: string): void {
    if (connection === undefined || connection !== this.opened) return
    const wasUp = this.up === connection
    this.opened = undefined
    this.up = undefined
    this.again(reason)
    if (wasUp) this.options.onDown(reason)
  }

  private again(reason: string): void {
    if (this.stopped) return
    if (this.why !== reason) this.options.log.warn('redis_disconnected', { link: this.options.name, reason })
    this.why = reason
    const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures)
    this.failures = Math.min(this.failures + 1, 10)
    this.timer = setTimeout(() => void this.connect(), delay * (0.5 + Math.random() / 2))
  }
}
