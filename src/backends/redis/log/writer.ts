/**
 * Stores messages in batches, one batch at a time: what comes while one is under way goes with the next. So the order of
 * the calls is the order of the cursors whatever breaks, and a batch whose answer was lost can be asked for again.
 */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Appended, Entry } from '../../../core/ports/log.ts'
import { TidingsError } from '../../../protocol/errors.ts'
import type { Connection } from '../connection.ts'
import { explainRefusal, isDemoted, messageOf, refusalOf, unavailable } from '../failures.ts'
import { FENCED } from '../fence.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { APPEND, DUPLICATE, REFUSED, REFUSED_ALL, STALE, STORED } from './append-script.ts'
import { formatDetails } from './envelope.ts'

export interface WriterOptions {
  readonly primary: Primary
  readonly keys: Keys
  readonly instance: string
  readonly clock: CursorClock
  readonly monotonic: () => number
  readonly log: Log
  /** Milliseconds for which the answer to a keyed publish is remembered. */
  readonly idempotencyMs: number
  /** Replicas that must have a message before its publisher learns that it is stored. */
  readonly minReplicas: number
  /** Bytes that may wait. */
  readonly maxQueueBytes: number
  /** Everything up to this cursor has been told. */
  readonly head: () => number
  /** Called before a batch is sent: what was said before it goes first. */
  readonly onSend: () => void
}

/**
 * Messages in one batch: four milliseconds of Redis' time at most, in which it does nothing else. At full load an instance
 * spends an eighth less processor on a message than with half as many.
 */
const MAX_BATCH = 256
/** Bytes of messages in one batch, for the same reason; a larger message goes alone. */
const MAX_BATCH_BYTES = 512 * 1024
/** Memory of a waiting message beside its text. */
const OVERHEAD_BYTES = 500
/** Milliseconds for which a message waits to be stored and told. A publisher must not wait for an outage to end. */
const PATIENCE_MS = 3000
/** Milliseconds without Redis after which messages are refused at once: shorter breaks are a cut connection. */
const OUTAGE_MS = 500
/** Milliseconds between two looks at what waits. */
const LOOK_MS = 100
/** Milliseconds for which replicas may take to confirm. */
const REPLICA_TIMEOUT_MS = 1000
/** When a publisher should try again whose message found the queue full: at full speed it is empty by then. */
const FULL_RETRY_MS = 250

class Pending {
  readonly entry: Entry
  readonly bytes: number
  readonly until: number
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: TidingsError) => void
  appended: Appended | undefined
  settled = false

  constructor(
    entry: Entry,
    until: number,
    resolve: (appended: Appended) => void,
    reject: (error: TidingsError) => void,
  ) {
    this.entry = entry
    this.bytes = entry.body.length + OVERHEAD_BYTES
    this.until = until
    this.resolve = resolve
    this.reject = reject
  }
}

export class Writer {
  private readonly options: WriterOptions
  private readonly timer: ReturnType<typeof setInterval>
  private queue: Pending[] = []
  private queuedBytes = 0
  /** Stored and not told yet, in the order of their cursors. */
  private stored: Pending[] = []
  private readonly origins = new Map<string, string>()
  private sending: readonly Pending[] = []
  private running = false
  private batch = 0
  private refusal: string | undefined
  private lacksReplicas = false
  private downSince: number | undefined
  private closed = false
  private idle: (() => void)[] = []

  constructor(options: WriterOptions) {
    this.options = options
    this.timer = setInterval(() => this.look(), LOOK_MS)
    this.timer.unref()
  }

  /** Why the last batch could not be stored; absent: it was. */
  get failing(): string | undefined {
    return this.refusal
  }

  /** Redis takes writes, as another one has shown. */
  recovered(): void {
    if (this.refusal === undefined || this.lacksReplicas) return
    this.refusal = undefined
    this.options.log.info('store_recovered')
  }

  append(entry: Entry): Promise<Appended> {
    const { maxQueueBytes, monotonic } = this.options
    return new Promise((resolve, reject) => {
      const pending = new Pending(entry, monotonic() + PATIENCE_MS, resolve, reject)
      const refusal = this.refuse(entry, pending.bytes, maxQueueBytes)
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      this.queue.push(pending)
      this.queuedBytes += pending.bytes
      if (entry.origin !== undefined) this.origins.set(entry.id, entry.origin)
      this.wake()
    })
  }

  /** The connection from which a message came that was not told yet. */
  originOf(id: string): string | undefined {
    return this.origins.get(id)
  }

  /** Everything up to this cursor was told: those publishers may know. */
  told(head: number): void {
    let count = 0
    for (const pending of this.stored) {
      if (pending.appended === undefined || pending.appended.cursor > head) break
      count++
      this.settle(pending, pending.appended)
    }
    if (count > 0) this.stored.splice(0, count)
    this.rest()
  }

  /** What was stored above the floor is lost: it may have been told to others, but nobody will find it again. */
  lost(floor: number): void {
    const lost = this.stored.filter(({ appended }) => appended !== undefined && appended.cursor > floor)
    this.stored = this.stored.filter((pending) => !lost.includes(pending))
    for (const pending of lost) this.fail(pending, unavailable('The message was stored and lost'))
    this.rest()
  }

  /** Commands can be given: what waits can be stored. */
  wake(): void {
    if (this.running || this.queue.length + this.sending.length === 0 || this.connection() === undefined) return
    this.running = true
    // What comes in the same turn of the event loop goes together. A microtask would not do: one runs after every frame.
    setImmediate(() => {
      this.run().finally(() => {
        this.running = false
        this.wake()
        this.rest()
      })
    })
  }

  /** Refuses what comes from now on; resolves when what was waiting is stored and told, or has failed. */
  async close(): Promise<void> {
    this.closed = true
    await new Promise<void>((resolve) => {
      this.idle.push(resolve)
      this.rest()
    })
    clearInterval(this.timer)
  }

  private refuse(entry: Entry, bytes: number, maxQueueBytes: number): TidingsError | undefined {
    if (this.closed) return new TidingsError('unavailable', 'The server is shutting down')
    if (!Number.isFinite(entry.at)) return new TidingsError('internal_error', 'The message has no time')
    if (this.connection() === undefined && this.isOut())
      return unavailable('The message cannot be stored at the moment')
    if (this.queuedBytes + bytes <= maxQueueBytes) return undefined
    return new TidingsError('unavailable', 'Too many messages are waiting to be stored', {
      retryAfterMs: FULL_RETRY_MS,
    })
  }

  private connection(): Connection | undefined {
    const connection = this.options.primary.writer
    if (connection !== undefined) this.downSince = undefined
    else this.downSince ??= this.options.monotonic()
    return connection
  }

  private isOut(): boolean {
    return this.downSince !== undefined && this.options.monotonic() - this.downSince > OUTAGE_MS
  }

  private async run(): Promise<void> {
    while (this.queue.length > 0 || this.sending.length > 0) {
      if (this.sending.length === 0) {
        this.sending = this.takeBatch()
        this.batch++
      }
      if (!(await this.send(this.sending))) return
      this.sending = []
    }
  }

  private takeBatch(): Pending[] {
    let bytes = 0
    let count = 0
    for (const pending of this.queue) {
      bytes += pending.bytes
      if (count === MAX_BATCH || (count > 0 && bytes > MAX_BATCH_BYTES)) break
      count++
    }
    const batch = this.queue.slice(0, count)
    this.queue = this.queue.slice(count)
    for (const pending of batch) this.queuedBytes -= pending.bytes
    return batch
  }

  /** Sends a batch; false where it is not known whether it was stored: it is sent again, as the same one. */
  private async send(batch: readonly Pending[]): Promise<boolean> {
    const { onSend, primary } = this.options
    const connection = this.connection()
    const epoch = primary.epoch
    if (connection === undefined || epoch === undefined) return false
    onSend()
    try {
      const reply = String(await this.ask(connection, epoch.name, batch))
      if (reply === FENCED) {
        await primary.renew()
        return this.send(batch)
      }
      if (reply === STALE) this.failAll(batch, 'another instance has this name')
      else if (reply.startsWith(REFUSED_ALL)) this.refused(batch, reply.slice(REFUSED_ALL.length), connection)
      else await this.confirm(connection, batch, reply.split('\n'))
      return true
    } catch (error) {
      const text = messageOf(error)
      if (refusalOf(error) === undefined) {
        connection.end(text)
        return false
      }
      this.refused(batch, text, connection)
      return true
    }
  }

  private ask(connection: Connection, epoch: string, batch: readonly Pending[]): Promise<unknown> {
    const { clock, idempotencyMs, instance, keys, primary } = this.options
    const args: (string | number)[] = [
      epoch,
      clock.now(),
      primary.seen,
      this.batch,
      keys.instanceChannel(instance),
      keys.prefix,
      idempotencyMs,
    ]
    for (const { entry } of batch) {
      const { topic, device, id, body, at, retention, idempotency } = entry
      const key = idempotency === undefined ? '' : `${idempotency.scope}\n${idempotency.key}`
      args.push(topic, retention.maxMessages, retention.maxAgeMs, at, id, device ?? '', formatDetails(entry), key, body)
    }
    return APPEND.run(connection.redis, [keys.log, keys.writer(instance)], args)
  }

  private async confirm(connection: Connection, batch: readonly Pending[], answers: readonly string[]): Promise<void> {
    const { head, log, minReplicas, primary } = this.options
    this.recovered()
    for (const [place, pending] of batch.entries()) {
      const answer = answers[place] ?? REFUSED
      if (answer.startsWith(REFUSED)) {
        log.error('store_row_failed', { error: answer.slice(1) })
        this.fail(pending, new TidingsError('internal_error'))
        continue
      }
      const [cursor = '', id = pending.entry.id] = answer.slice(1).split(' ')
      pending.appended = { cursor: Number(cursor), id, ...(answer.startsWith(DUPLICATE) && { duplicate: true }) }
      if (answer.startsWith(STORED)) primary.see(pending.appended.cursor)
    }
    if (minReplicas > 0) await this.awaitReplicas(connection, batch)
    for (const pending of batch) if (!pending.settled) this.stored.push(pending)
    this.told(head())
  }

  /** What too few replicas have is told and may yet be lost: its publisher must not rely on it. */
  private async awaitReplicas(connection: Connection, batch: readonly Pending[]): Promise<void> {
    const { minReplicas } = this.options
    const confirmed = await connection.redis.wait(minReplicas, REPLICA_TIMEOUT_MS)
    this.lacksReplicas = confirmed < minReplicas
    if (!this.lacksReplicas) {
      this.recovered()
      return
    }
    this.refusal = `Only ${confirmed} of ${minReplicas} replicas (redis.min_replicas) have confirmed a message`
    for (const pending of batch) this.fail(pending, unavailable('The message may not be stored durably'))
  }

  private refused(batch: readonly Pending[], text: string, connection: Connection): void {
    if (isDemoted(text)) connection.end(text)
    this.failAll(batch, explainRefusal(text))
  }

  private failAll(batch: readonly Pending[], reason: string): void {
    if (this.refusal !== reason) this.options.log.error('store_failing', { reason })
    this.refusal = reason
    for (const pending of batch) this.fail(pending, unavailable('The message cannot be stored at the moment'))
  }

  /** Gives up what has waited too long. A batch of which nobody waits any more is not sent again. */
  private look(): void {
    const now = this.options.monotonic()
    const isOut = this.connection() === undefined && this.isOut()
    const isOver = ({ until }: Pending): boolean => isOut || until <= now
    for (const pending of [...this.queue, ...this.sending, ...this.stored]) {
      if (isOver(pending)) this.fail(pending, unavailable('The message cannot be stored at the moment'))
    }
    if (this.queue[0]?.settled) {
      this.queue = this.queue.filter(({ settled }) => !settled)
      this.queuedBytes = this.queue.reduce((sum, { bytes }) => sum + bytes, 0)
    }
    if (this.stored[0]?.settled) this.stored = this.stored.filter(({ settled }) => !settled)
    if (!this.running && this.sending.every(({ settled }) => settled)) this.sending = []
    this.wake()
    this.rest()
  }

  private settle(pending: Pending, appended: Appended): void {
    if (pending.settled) return
    pending.settled = true
    this.forget(pending)
    pending.resolve(appended)
  }

  private fail(pending: Pending, error: TidingsError): void {
    if (pending.settled) return
    pending.settled = true
    this.forget(pending)
    pending.reject(error)
  }

  private forget({ entry }: Pending): void {
    if (entry.origin !== undefined) this.origins.delete(entry.id)
  }

  private rest(): void {
    if (this.idle.length === 0 || this.running) return
    if (this.queue.length + this.sending.length + this.stored.length > 0) return
    for (const resolve of this.idle.splice(0)) resolve()
  }
}
