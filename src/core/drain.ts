/** Leaving without losing anything: each client is told when to come back, and the closes are spread over a window. */
import { CLOSE } from '../protocol/errors.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

/** Milliseconds between two batches of closes. */
const BATCH_INTERVAL_MS = 50

export interface DrainDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly close: (session: Session, code: number, reason: string) => void
}

/**
 * Closes every connection with 1012, evenly over `windowMs`: a herd that comes back at once would be the next outage.
 * Each is told right before its close after how long to come back. Resolves when the last close was sent.
 * @param signal ends the spreading: what is left is closed at once.
 */
export async function drain(deps: DrainDeps, reason: string, windowMs: number, signal: AbortSignal): Promise<void> {
  const { clock, registry } = deps
  const began = clock.monotonic()
  const total = registry.size
  for (const session of registry.all()) session.state = 'draining'
  let closed = 0
  while (registry.size > 0) {
    const elapsed = clock.monotonic() - began
    // At the end all of them, whoever came in since they were counted too.
    const over = signal.aborted || elapsed >= windowMs
    const due = over ? Number.POSITIVE_INFINITY : Math.floor((elapsed / windowMs) * (total - 1)) + 1
    for (const session of registry.all()) {
      if (closed >= due) break
      leave(deps, session, reason, windowMs)
      closed++
    }
    if (registry.size > 0) await sleep(BATCH_INTERVAL_MS, signal)
  }
}

function leave({ clock, close }: DrainDeps, session: Session, reason: string, windowMs: number): void {
  const reconnectAfterMs = Math.round(Math.random() * windowMs)
  session.send({
    type: 'server_draining',
    payload: { reason, reconnect_after_ms: reconnectAfterMs },
    timestamp: toTimestamp(clock.now()),
  })
  close(session, CLOSE.serviceRestart, 'draining')
}

/** Resolves with `false` as soon as the signal says so. */
export function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    else signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}

/** Resolves after `ms` milliseconds, or as soon as the signal says so. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', hurry)
      resolve()
    }, ms)
    const hurry = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', hurry, { once: true })
  })
}
