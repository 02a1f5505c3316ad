/**
 * `full` durability: a commit is told when the disk has it. The write-ahead log is flushed by the runtime's thread pool,
 * so that the event loop does not wait for the disk; one flush covers every commit made before it began.
 */
import { closeSync, fdatasync, openSync } from 'node:fs'

interface Waiting {
  readonly tell: (error: Error | undefined) => void
}

export class WalSync {
  private readonly fd: number
  private waiting: Waiting[] = []
  private flushing = false
  private onIdle: (() => void) | undefined

  /** @param path the database's; its log exists once something was committed. */
  constructor(path: string) {
    this.fd = openSync(`${path}-wal`, 'r')
  }

  /** Calls `tell` when everything committed until now is on the disk, in the order of these calls. */
  after(tell: (error: Error | undefined) => void): void {
    this.waiting.push({ tell })
    if (!this.flushing) this.flush()
  }

  async close(): Promise<void> {
    if (this.flushing) await new Promise<void>((resolve) => (this.onIdle = resolve))
    closeSync(this.fd)
  }

  private flush(): void {
    this.flushing = true
    const covered = this.waiting
    this.waiting = []
    fdatasync(this.fd, (error) => {
      for (const { tell } of covered) tell(error ?? undefined)
      if (this.waiting.length > 0) {
        this.flush()
        return
      }
      this.flushing = false
      this.onIdle?.()
    })
  }
}
