/** Every route of the server, and what holds for all of them. */
import { Elysia } from 'elysia'
import type { Hub } from '../core/hub.ts'
import type { Identity } from '../core/identity.ts'
import type { Log } from '../core/log.ts'
import { TidingsError } from '../protocol/errors.ts'
import type { Door } from '../transports/handshake.ts'
import { errorResponse } from './errors.ts'
import { healthRoutes } from './health.ts'
import { realtimeRoutes } from './realtime.ts'

export interface HttpDeps {
  readonly hub: Hub
  readonly door: Door
  readonly log: Log
  readonly verify: (token: string) => Promise<Identity>
  readonly mode: 'development' | 'production'
}

export function httpRoutes({ hub, door, log }: HttpDeps) {
  return new Elysia({ name: 'tidings' })
    .onError({ as: 'scoped' }, ({ error, code, request }) => errorResponse(ours(error, code), log, request))
    .use(healthRoutes(hub))
    .use(realtimeRoutes({ hub, door }))
}

/** Elysia's own errors in our words: its texts would echo what was sent. */
function ours(error: unknown, code: string | number): unknown {
  switch (code) {
    case 'NOT_FOUND':
      return new TidingsError('not_found')
    case 'VALIDATION':
      return new TidingsError('invalid_message', undefined, { cause: error })
    case 'PARSE':
      return new TidingsError('invalid_message', 'The body is not JSON', { cause: error })
    default:
      return error
  }
}
