/** Token buckets for what one connection sends: frames and bytes per second, a warning, then a throttle, then the end. */

/** What a connection has left. Made with its first frame: an idle connection has none. */
export interface RateState {
  frames: number
  bytes: number
  /** Monotonic milliseconds of the last refill. */
  at: number
  /** Frames refused; forgotten at the rate at which frames are allowed. */
  refused: number
  warned: boolean
}

/** Whoever sends frames. */
export interface RateLimited {
  rate: RateState | undefined
}

export interface RateLimits {
  /** Frames per second; 0: no limit. */
  readonly messagesPerSecond: number
  /** Frames that may come at once. */
  readonly burst: number
  /** Bytes per second; 0: no limit. A second's worth may come at once, or one message of the largest size. */
  readonly bytesPerSecond: number
  readonly maxMessageBytes: number
}

export type RateVerdict =
  | { readonly kind: 'pass' }
  /** Passes, but the client is told that it will soon be throttled, and after what pause not so soon. */
  | { readonly kind: 'warn'; readonly retryAfterMs: number }
  | { readonly kind: 'refuse'; readonly retryAfterMs: number }
  /** Refused so often that the connection ends. */
  | { readonly kind: 'close' }

/** The share of the burst below which the warning comes: late enough to be rare, early enough to slow down. */
const WARN_BELOW = 0.2
/** Refusals, in bursts, after which a client is not merely fast but does not listen. */
const BURSTS_BEFORE_CLOSE = 2

const PASS: RateVerdict = { kind: 'pass' }

export class RateLimiter {
  private readonly limits: RateLimits
  private readonly burst: number
  private readonly maxBytes: number

  constructor(limits: RateLimits) {
    this.limits = limits
    this.burst = Math.max(limits.burst, 1)
    this.maxBytes = Math.max(limits.bytesPerSecond, limits.maxMessageBytes)
  }

  /** What a sender begins with. Several senders may share one. */
  fresh(now: number): RateState {
    return { frames: this.burst, bytes: this.maxBytes, at: now, refused: 0, warned: false }
  }

  /** Judges one frame of `bytes` bytes at monotonic time `now`. */
  take(sender: RateLimited, bytes: number, now: number): RateVerdict {
    const { messagesPerSecond, bytesPerSecond } = this.limits
    if (messagesPerSecond === 0 && bytesPerSecond === 0) return PASS
    sender.rate ??= this.fresh(now)
    const state = sender.rate
    const seconds = (now - state.at) / 1000
    state.at = now
    state.frames = Math.min(this.burst, state.frames + seconds * messagesPerSecond)
    state.bytes = Math.min(this.maxBytes, state.bytes + seconds * bytesPerSecond)
    state.refused = Math.max(0, state.refused - seconds * Math.max(messagesPerSecond, 1))
    const lacksFrame = messagesPerSecond > 0 && state.frames < 1
    const lacksBytes = bytesPerSecond > 0 && state.bytes < bytes
    if (lacksFrame || lacksBytes) {
      if (++state.refused > this.burst * BURSTS_BEFORE_CLOSE) return { kind: 'close' }
      return { kind: 'refuse', retryAfterMs: this.timeUntil(state, 1, bytes) }
    }
    state.frames -= 1
    state.bytes -= bytes
    return this.isLow(state) ? this.warn(state) : this.relax(state)
  }

  private isLow(state: RateState): boolean {
    const { messagesPerSecond, bytesPerSecond } = this.limits
    return (
      (messagesPerSecond > 0 && this.burst > 1 && state.frames < this.burst * WARN_BELOW) ||
      (bytesPerSecond > 0 && state.bytes < this.maxBytes * WARN_BELOW)
    )
  }

  private warn(state: RateState): RateVerdict {
    if (state.warned) return PASS
    state.warned = true
    return { kind: 'warn', retryAfterMs: this.timeUntil(state, this.burst * WARN_BELOW, this.maxBytes * WARN_BELOW) }
  }

  private relax(state: RateState): RateVerdict {
    state.warned = false
    return PASS
  }

  /** Milliseconds until so many frames and bytes are left, if nothing is sent meanwhile. */
  private timeUntil(state: RateState, frames: number, bytes: number): number {
    const { messagesPerSecond, bytesPerSecond } = this.limits
    const forFrames = messagesPerSecond > 0 ? (frames - state.frames) / messagesPerSecond : 0
    const forBytes = bytesPerSecond > 0 ? (bytes - state.bytes) / bytesPerSecond : 0
    return Math.max(1, Math.ceil(Math.max(forFrames, forBytes) * 1000))
  }
}
