/** Tells the listener: what came in one turn of the event loop as one batch, and gaps in their place between batches. */
import type { Log } from '../../../core/log.ts'
import type { CommitListener, GapListener, StoredMessage } from '../../../core/ports/log.ts'

export class Teller {
  listener: CommitListener = () => {}
  gapListener: GapListener = () => {}
  private readonly log: Log
  private readonly onHead: (head: number) => void
  private batch: StoredMessage[] = []
  private told = 0
  private next = 0
  private scheduled = false
  private waiting: (() => void)[] = []

  /** @param onHead called when everything up to this cursor was told. */
  constructor(log: Log, onHead: (head: number) => void) {
    this.log = log
    this.onHead = onHead
  }

  /** Everything up to this cursor was told. */
  get head(): number {
    return this.told
  }

  /** Everything up to this cursor is going to be told with this turn. */
  get target(): number {
    return this.next
  }

  add(message: StoredMessage): void {
    this.batch.push(message)
    this.moveTo(message.cursor)
  }

  /** Nothing else is going to come up to this cursor. */
  moveTo(cursor: number): void {
    if (cursor > this.next) this.next = cursor
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => this.flush())
  }

  /** Calls back when what has come until now was told. */
  afterwards(then: () => void): void {
    this.waiting.push(then)
    this.moveTo(this.next)
  }

  /** Something may be missing between two cursors; `topics` is absent where it may be in any. */
  gap(topics: readonly string[] | undefined, from: number, to: number): void {
    this.flush()
    this.call(() => this.gapListener({ topics, from, to }))
  }

  /** Tells at once what has come. */
  flush(): void {
    this.scheduled = false
    const { batch, next } = this
    if (next > this.told) {
      this.batch = []
      this.told = next
      this.call(() => this.listener(batch, next))
      this.onHead(next)
    }
    for (const then of this.waiting.splice(0)) then()
  }

  private call(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.log.error('delivery_failed', { error })
    }
  }
}
