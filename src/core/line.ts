/**
 * The delivery line: everything that is stored goes to the connections of this process through here, in the order of its
 * cursors over all topics. What stops one topic stops the line; so a position in everything a device receives is one number.
 */
import type { Log } from './log.ts'
import type { LogGap, StoredMessage } from './ports/log.ts'

/** Hands one message over; calls `done` when the last connection has it, in the same call where that is at once. */
export type Deliver = (message: StoredMessage, done: () => void) => void

/** Tells the connections that a gap concerns. */
export type TellGap = (gap: LogGap) => void

/**
 * Bytes that the line hands over in one turn of the event loop. They gather in the sockets of those who receive them, and
 * a client that reads must not look like one that does not: a quarter of the default `limits.max_pending_bytes`.
 */
const MAX_TURN_BYTES = 256 * 1024

/** Delivered messages that may stay in the queue until it is cut: cutting costs as much as what is left. */
const KEPT_MESSAGES = 1024
/** Memory that a waiting message takes beside its text. */
const OVERHEAD_BYTES = 300

interface Waiter {
  readonly cursor: number
  readonly resolve: () => void
}

export class DeliveryLine {
  private readonly deliver: Deliver
  private readonly tellGap: TellGap
  private readonly log: Log
  private queue: (StoredMessage | LogGap)[] = []
  private next = 0
  private head: number
  private at: number
  private running = false
  private waiting = 0
  /** In the order of their cursors, from `firstWaiter` on: at full speed there are thousands, and each message ends one. */
  private waiters: Waiter[] = []
  private firstWaiter = 0

  /** @param delivered everything up to this cursor is older than any connection of this process. */
  constructor(deliver: Deliver, tellGap: TellGap, log: Log, delivered: number) {
    this.deliver = deliver
    this.tellGap = tellGap
    this.log = log
    this.head = delivered
    this.at = delivered
  }

  /** Everything up to this cursor has been handed to the connections of this process. */
  get delivered(): number {
    return this.at
  }

  /** Bytes of memory of what was stored and is not delivered: a big room is served in turns, and holds up what comes after. */
  get waitingBytes(): number {
    return this.waiting
  }

  /** Takes the messages of one commit, in the order of their cursors, and the cursor up to which there are no others. */
  push(batch: readonly StoredMessage[], head: number): void {
    for (const message of batch) {
      this.queue.push(message)
      this.waiting += message.body.length + OVERHEAD_BYTES
    }
    this.head = head
    if (!this.running) this.run()
  }

  /** Takes a gap, in its place between what was told before it and what comes after. */
  pushGap(gap: LogGap): void {
    this.queue.push(gap)
    if (!this.running) this.run()
  }

  /** Resolves when everything up to a cursor has been delivered; `undefined` where it has been. */
  reached(cursor: number): Promise<void> | undefined {
    if (cursor <= this.at) return undefined
    return new Promise((resolve) => this.wait({ cursor, resolve }))
  }

  /** Publishers ask in the order of their cursors: the place is at the end, or close to it. */
  private wait(waiter: Waiter): void {
    const { waiters } = this
    let place = waiters.length
    while (place > this.firstWaiter && (waiters[place - 1] as Waiter).cursor > waiter.cursor) place--
    if (place === waiters.length) waiters.push(waiter)
    else waiters.splice(place, 0, waiter)
  }

  private run(): void {
    this.running = true
    let bytes = 0
    while (this.next < this.queue.length) {
      if (bytes > MAX_TURN_BYTES) {
        setImmediate(() => this.run())
        return
      }
      const first = this.queue[this.next]
      if (first !== undefined && isGap(first)) {
        this.next++
        this.sayGap(first)
        continue
      }
      const run = this.takeRun(MAX_TURN_BYTES - bytes)
      for (const { body } of run) bytes += body.length
      if (!this.handOver(run)) return
    }
    this.queue = []
    this.next = 0
    this.running = false
    this.move(this.head)
  }

  /** The next messages, as long as they are of one topic: what goes to the same members may go in one round. */
  private takeRun(bytes: number): StoredMessage[] {
    const run: StoredMessage[] = []
    let left = bytes
    for (let at = this.next; at < this.queue.length && (left > 0 || run.length === 0); at++) {
      const message = this.queue[at] as StoredMessage | LogGap
      if (isGap(message) || message.topic !== (run[0] ?? message).topic) break
      run.push(message)
      left -= message.body.length
    }
    this.next += run.length
    for (const { body } of run) this.waiting -= body.length + OVERHEAD_BYTES
    // A line that is never idle must not keep all that it has ever delivered.
    if (this.next > KEPT_MESSAGES && this.next * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.next)
      this.next = 0
    }
    return run
  }

  /** False: the line waits for these messages, and goes on when the last is out. */
  private handOver(run: readonly StoredMessage[]): boolean {
    let open = run.length
    let waiting = false
    const moveOn = ({ cursor }: StoredMessage) => {
      open--
      this.move(cursor)
      if (open === 0 && waiting) this.run()
    }
    for (const message of run) {
      try {
        this.deliver(message, () => moveOn(message))
      } catch (error) {
        // A message that cannot be delivered must not hold up all that come after it.
        this.log.error('delivery_failed', { error, cursor: message.cursor })
        moveOn(message)
      }
    }
    waiting = open > 0
    return !waiting
  }

  private sayGap(gap: LogGap): void {
    try {
      this.tellGap(gap)
    } catch (error) {
      this.log.error('delivery_failed', { error })
    }
  }

  private move(cursor: number): void {
    this.at = cursor
    const { waiters } = this
    if (waiters.length === 0) return
    for (let next = waiters[this.firstWaiter]; next !== undefined && next.cursor <= cursor; ) {
      next.resolve()
      next = waiters[++this.firstWaiter]
    }
    if (this.firstWaiter === waiters.length || this.firstWaiter > KEPT_MESSAGES) {
      this.waiters = waiters.slice(this.firstWaiter)
      this.firstWaiter = 0
    }
  }
}

function isGap(item: StoredMessage | LogGap): item is LogGap {
  return 'to' in item
}
