/** What a supervisor and its workers tell each other over the channel between them. Both are always the same program. */
import type { Config } from '../../config.ts'

export type ToWorker =
  /** Comes first, and once. */
  | { readonly type: 'serve'; readonly config: Config }
  | { readonly type: 'keys'; readonly auth: Config['auth'] }
  /** Whether every worker is there and ready. Until it is said, they are not. */
  | { readonly type: 'all_ready'; readonly ready: boolean }
  | { readonly type: 'stop'; readonly reason: string }

export type FromWorker =
  /** It listens. Comes once. */
  | { readonly type: 'started'; readonly url: string }
  /** Whether this worker takes connections. Until it is said, it does not. Comes when that changes, and every second. */
  | { readonly type: 'ready'; readonly ready: boolean }
