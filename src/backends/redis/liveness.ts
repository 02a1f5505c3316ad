/**
 * Whether Redis still answers. A timer for each command would not tell: in a process that stood still for a while the
 * timers run before what has come meanwhile is read, and a Redis that answered in time is taken for dead.
 */
import type { Redis } from 'ioredis'
import { messageOf } from './failures.ts'

/** Milliseconds between two looks. What has come is read between two of them, however long this process stood still. */
const LOOK_MS = 250
/** Looks at which a ping is still unanswered, after which the server is gone: 2 seconds, where it answers in under one ms. */
const MAX_UNANSWERED = 8

export class Liveness {
  private readonly redis: Redis
  private readonly dead: (reason: string) => void
  private readonly timer: ReturnType<typeof setInterval>
  private waiting = false
  private unanswered = 0

  /** @param dead called once, where it answers no more. */
  constructor(redis: Redis, dead: (reason: string) => void) {
    this.redis = redis
    this.dead = dead
    this.timer = setInterval(() => this.look(), LOOK_MS)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private look(): void {
    if (!this.waiting) {
      this.ping()
    } else if (++this.unanswered >= MAX_UNANSWERED) {
      this.stop()
      this.dead('it does not answer')
    }
  }

  private ping(): void {
    this.waiting = true
    this.unanswered = 0
    this.redis.ping().then(
      () => {
        this.waiting = false
      },
      (error) => {
        this.stop()
        this.dead(messageOf(error))
      },
    )
  }
}
