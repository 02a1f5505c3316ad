import type { AdminGuard } from '../auth/admin.ts'
import type { Hub } from '../core/hub.ts'
import type { Log } from '../core/log.ts'
import type { Door } from '../transports/handshake.ts'
import type { Border } from './border.ts'
import type { Neighbours } from './readiness.ts'
import type { Sticky } from './sticky.ts'

/** What routes are made of. */
export interface HttpDeps {
  readonly hub: Hub
  readonly door: Door
  readonly log: Log
  readonly border: Border
  readonly guard: AdminGuard
  readonly sticky: Sticky
  /** Absent: nobody else listens on this port. */
  readonly neighbours: Neighbours | undefined
}
