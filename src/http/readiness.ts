/** Whether connections are taken, by this process and by those beside it. */
import type { Hub } from '../core/hub.ts'

/** Whether a process takes connections, in the words of `/readyz`. */
export type Readiness = 'ready' | 'degraded' | 'draining'

/** Other processes that listen on the same port: nobody chooses which of them answers a probe. */
export interface Neighbours {
  /** Whether all of them are there and take connections, this process among them. */
  ready(): boolean
}

/** The readiness of this process alone. */
export function readinessOf(hub: Hub): Readiness {
  if (hub.draining) return 'draining'
  return hub.backend.log.failing === undefined ? 'ready' : 'degraded'
}
