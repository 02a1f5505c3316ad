/** Maintenance: a part of an instance's connections goes elsewhere. */
import { Elysia, t } from 'elysia'
import { adminOnly } from './admin-guard.ts'
import { Bodies } from './body.ts'
import type { HttpDeps } from './deps.ts'
import { Count, describedAsAdmin, failures } from './schemas.ts'

/** A thousandth: of any number of connections one is the least that can go. */
const MIN_FRACTION = 0.001

const Body = t.Object(
  {
    fraction: t.Number({
      minimum: MIN_FRACTION,
      maximum: 1,
      description: "The part of the instance's connections that goes, such as 0.25.",
      examples: [0.25],
    }),
    instance: t.Optional(
      t.String({ minLength: 1, maxLength: 128, description: 'The instance; absent: the one that has this request.' }),
    ),
  },
  { title: 'Drain', description: 'What is to go.' },
)

const Drained = t.Object(
  {
    instance: t.Union([t.String(), t.Null()], { description: 'The instance; null where there is only one.' }),
    disconnected: Count('Connections that were closed.'),
  },
  { title: 'Drained', description: 'What went.' },
)

export function drainRoutes(deps: HttpDeps) {
  const { hub } = deps
  const bodies = new Bodies(hub.config)
  return new Elysia(describedAsAdmin('maintenance')).use(adminOnly(deps)).post(
    '/realtime/drain',
    ({ admin, body, request, server }) => {
      const { fraction } = body
      const instance = body.instance ?? hub.peers.here
      server?.timeout(request, Math.min(Math.ceil(hub.shedding.longestMs / 1000), MAX_QUIET_S))
      return admin.act(
        'drain',
        { fraction, ...(instance !== undefined && { instance }) },
        async () => ({ instance: instance ?? null, disconnected: await hub.shedding.at(instance, fraction) }),
        ({ disconnected }) => ({ disconnected }),
      )
    },
    {
      parse: [({ request }) => bodies.one(request)],
      body: Body,
      response: { 200: Drained, ...failures(400, 401, 404, 503) },
      detail: {
        operationId: 'drain',
        summary: 'Sends a part of the connections elsewhere',
        description:
          'They are told `server_draining` and closed with 1012, spread over `drain.window_ms`; the instance keeps serving the others and takes new ones. Answered when the last was closed.',
      },
    },
  )
}

/** The longest quiet that the runtime knows, in seconds. */
const MAX_QUIET_S = 255
