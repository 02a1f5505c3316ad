/** How the server is doing, for everybody; and with a token, how its user is connected. */
import { Elysia, t } from 'elysia'
import { toTimestamp } from '../core/clock.ts'
import { recordsOfUser, totals } from '../core/queries.ts'
import { TidingsError } from '../protocol/errors.ts'
import { VERSION } from '../version.ts'
import { queryOf } from './address.ts'
import type { HttpDeps } from './deps.ts'
import { ConnectionRecord, Count, failures } from './schemas.ts'

const Status = t.Object(
  {
    server_time: t.Number({ description: 'Seconds since 1970.' }),
    version: t.String(),
    uptime_s: t.Number({ description: 'Seconds since the server started.' }),
    connections: Count('Open connections.'),
    users: Count('Users with a connection.'),
    rooms: Count('Rooms with a member.'),
    user: t.Optional(
      t.Object(
        { user_id: t.String(), connections: t.Array(ConnectionRecord) },
        { description: "The token's user, where one was shown." },
      ),
    ),
  },
  { title: 'Status', description: 'How the server is doing.' },
)

export function statusRoutes({ hub, door, border }: HttpDeps) {
  const started = hub.clock.monotonic()
  const userOf = async (request: Request) => {
    try {
      const { identity } = await door.authenticate(request, queryOf(request))
      const { userId } = identity
      return { user: { user_id: userId, connections: await recordsOfUser(hub, userId) } }
    } catch (error) {
      // Nothing was shown. What was shown and is bad is said to be.
      if (error instanceof TidingsError && error.errorName === 'authentication_required') return undefined
      throw error
    }
  }
  return new Elysia()
    .get(
      '/api/websocket/status',
      async ({ request }) => ({
        server_time: toTimestamp(hub.clock.now()),
        version: VERSION,
        uptime_s: Math.round(hub.clock.monotonic() - started) / 1000,
        ...(await totals(hub)),
        ...(await userOf(request)),
      }),
      {
        response: { 200: Status, ...failures(401) },
        detail: {
          operationId: 'getStatus',
          tags: ['status'],
          summary: 'How the server is doing',
          description: "With a user's token also how that user is connected.",
          security: [{}, { userToken: [] }],
        },
      },
    )
    .options('/api/websocket/status', ({ request }) => border.cors.preflight(request))
}
