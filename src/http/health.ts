/** Probes: whether the process lives, and whether it takes connections. */
import { Elysia } from 'elysia'
import type { Hub } from '../core/hub.ts'

export function healthRoutes(hub: Hub) {
  return new Elysia({ name: 'tidings-health' })
    .get('/healthz', () => ({ status: 'ok' }), {
      detail: { tags: ['status'], summary: 'Whether the process lives' },
    })
    .get(
      '/readyz',
      ({ set }) => {
        if (hub.draining) set.status = 503
        return { status: hub.draining ? 'draining' : 'ready' }
      },
      { detail: { tags: ['status'], summary: 'Whether new connections are taken' } },
    )
}
