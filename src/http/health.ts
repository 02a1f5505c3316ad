/** Probes: whether the process lives, and whether it takes connections. They ask nothing of the request, not even a `Host`. */
import { Elysia, t } from 'elysia'
import type { HttpDeps } from './deps.ts'
import { readinessOf } from './readiness.ts'

const Alive = t.Object({ status: t.Literal('ok') }, { title: 'Alive', description: 'The process answers.' })
const Ready = t.Object({ status: t.Literal('ready') }, { title: 'Ready', description: 'Clients may connect.' })
const Degraded = t.Object(
  { status: t.Literal('degraded') },
  {
    title: 'Degraded',
    description:
      'Nothing can be stored at the moment; who is connected still hears each other. Or, of several workers, not all are there and ready.',
  },
)
const Draining = t.Object(
  { status: t.Literal('draining') },
  { title: 'Draining', description: 'The server is leaving: send clients elsewhere.' },
)

export function healthRoutes({ hub, neighbours }: HttpDeps) {
  return new Elysia()
    .get('/healthz', () => ({ status: 'ok' as const }), {
      response: { 200: Alive },
      detail: { operationId: 'isAlive', tags: ['status'], summary: 'Whether the process lives' },
    })
    .get(
      '/readyz',
      ({ status }) => {
        const own = readinessOf(hub)
        if (own === 'draining') return status(503, { status: own })
        // Why is in the log: a probe is answered to anybody.
        if (own === 'degraded' || neighbours?.ready() === false) return status(503, { status: 'degraded' as const })
        return status(200, { status: own })
      },
      {
        response: { 200: Ready, 503: t.Union([Draining, Degraded]) },
        detail: { operationId: 'isReady', tags: ['status'], summary: 'Whether new connections are taken' },
      },
    )
}
