/** A user: whether there, with what, and the end of all of its connections. */
import { Elysia, t } from 'elysia'
import { describeUser, findConnections } from '../core/queries.ts'
import { adminOnly } from './admin-guard.ts'
import type { HttpDeps } from './deps.ts'
import { onlyKnown } from './input.ts'
import { Count, Disconnected, describedAsAdmin, failures, Identifier } from './schemas.ts'

const LastSeen = 'The last sign of life. Seconds since 1970'

const User = t.Object(
  {
    online: t.Boolean({ description: 'Whether there is a connection.' }),
    connections: Count('Open connections.'),
    devices: t.Array(
      t.Object({
        device_id: t.String(),
        connections: Count('Open connections of this device.'),
        last_seen: t.Number({ description: `${LastSeen}.` }),
      }),
      { description: 'The devices that are connected.' },
    ),
    last_seen: t.Union([t.Number(), t.Null()], { description: `${LastSeen}; null where there is no connection.` }),
    pending: Count('Stored messages to the user that none of its devices has acknowledged.'),
  },
  { title: 'User', description: 'A user as an operator sees it.' },
)

export function userRoutes(deps: HttpDeps) {
  const { hub } = deps
  const params = t.Object({ user_id: Identifier('The user.') })
  return new Elysia(describedAsAdmin('users'))
    .use(adminOnly(deps))
    .get('/realtime/users/:user_id', ({ params: { user_id } }) => describeUser(hub, user_id), {
      params,
      response: { 200: User, ...failures(400, 401) },
      detail: {
        operationId: 'getUser',
        summary: 'Whether a user is online, and with what',
        description: 'Users are not kept here: one that was never seen is one that is not online.',
      },
    })
    .post(
      '/realtime/users/:user_id/disconnect',
      ({ request, admin, params: { user_id }, query: { reconnect = false } }) => {
        onlyKnown(request, ['reconnect'])
        return admin.act(
          'disconnect_user',
          { user_id, reconnect },
          async () => ({
            disconnected: await hub.disconnects.end(findConnections(hub, { userId: user_id }), reconnect),
          }),
          (result) => result,
        )
      },
      {
        params,
        query: t.Object({
          reconnect: t.Optional(
            t.Boolean({ default: false, description: 'Tells the clients that they may come back.' }),
          ),
        }),
        response: { 200: Disconnected, ...failures(400, 401, 503) },
        detail: { operationId: 'disconnectUser', summary: 'Ends all connections of a user' },
      },
    )
}
