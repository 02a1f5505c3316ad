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
    const due = signal.aborted ? Number.POSITIVE_INFINITY : dueAfter(elapsed, windowMs, total)
    for (const session of registry.all()) {
      if (closed >= due) break
      leave(deps, session, reason, windowMs)
      closed++
    }
    if (registry.size > 0) await sleep(BATCH_INTERVAL_MS, signal)
  }
}

/**
 * Closes a part of the connections with 1012, spread over `windowMs`; the others stay. Each is told after how long to come
 * back, to whichever instance its load balancer chooses. Resolves when the last of them was closed.
 * @param fraction of all connections, up to 1.
 * @returns how many were closed.
 */
export async function shed(deps: DrainDeps, fraction: number, windowMs: number, signal: AbortSignal): Promise<number> {
  const { clock, registry } = deps
  const chosen = sample([...registry.all()], Math.ceil(registry.size * fraction))
  for (const session of chosen) session.state = 'draining'
  const began = clock.monotonic()
  let closed = 0
  while (closed < chosen.length) {
    const elapsed = clock.monotonic() - began
    const due = signal.aborted ? chosen.length : Math.min(dueAfter(elapsed, windowMs, chosen.length), chosen.length)
    for (const session of chosen.slice(closed, due)) leave(deps, session, 'rebalance', windowMs)
    closed = due
    if (closed < chosen.length) await sleep(BATCH_INTERVAL_MS, signal)
  }
  return chosen.length
}

/** How many of `total` are to be closed by then: evenly over the window, and at its end everybody. */
function dueAfter(elapsedMs: number, windowMs: number, total: number): number {
  return elapsedMs >= windowMs ? Number.POSITIVE_INFINITY : Math.floor((elapsedMs / windowMs) * (total - 1)) + 1
}

/** Some of a list, chosen by chance. The list is shuffled. */
function sample<T>(list: T[], count: number): T[] {
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(Math.random() * (list.length - at))
    ;[list[at], list[other]] = [list[other] as T, list[at] as T]
  }
  return list.slice(0, count)
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
