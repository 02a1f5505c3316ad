/**
 * Lets those who arrive in, some in each turn of the event loop. The runtime accepts and hands over connections as long as
 * there are new ones, and while it does nothing else runs: a crowd that comes back, each as soon as the one before is in,
 * held up everybody for 300 ms. Those who are made to wait here are what ends that.
 */

/** Handshakes of one turn. Each takes a tenth of a millisecond, and a few with a replay to be planned. */
const PER_TURN = 16

export class Arrivals {
  private readonly waiting: (() => void)[] = []
  private left = PER_TURN
  private scheduled = false

  /** Resolves when it is the turn of who asks; `undefined` where that is now. */
  enter(): Promise<void> | undefined {
    this.schedule()
    if (this.left > 0 && this.waiting.length === 0) {
      this.left--
      return undefined
    }
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      const next = this.waiting.splice(0, PER_TURN)
      this.left = PER_TURN - next.length
      if (next.length > 0) this.schedule()
      for (const enter of next) enter()
    })
  }
}
