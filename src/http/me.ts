/** Who a token is of: a browser cannot read why a handshake failed, and asks here. */
import { Elysia, t } from 'elysia'
import { toTimestamp } from '../core/clock.ts'
import { queryOf } from './address.ts'
import type { HttpDeps } from './deps.ts'
import { failures } from './schemas.ts'

const Me = t.Object(
  {
    user_id: t.String(),
    device_id: t.Union([t.String(), t.Null()], {
      description: 'The device that the token names; null where the client may choose one.',
    }),
    roles: t.Array(t.String()),
    expires_at: t.Union([t.Number(), t.Null()], {
      description: 'When the token ends. Seconds since 1970; null where it does not.',
    }),
  },
  { title: 'Me', description: 'Who a token is of.' },
)

export function meRoutes({ door }: HttpDeps) {
  return new Elysia().get(
    '/realtime/me',
    async ({ request }) => {
      const { identity } = await door.authenticate(request, queryOf(request))
      return {
        user_id: identity.userId,
        device_id: identity.deviceId ?? null,
        roles: [...identity.roles],
        expires_at: identity.expiresAt === undefined ? null : toTimestamp(identity.expiresAt),
      }
    },
    {
      response: { 200: Me, ...failures(401, 403) },
      detail: {
        operationId: 'whoAmI',
        tags: ['realtime'],
        summary: 'Who a token is of',
        description: 'Fails as a handshake with the same credentials would.',
        security: [{ userToken: [] }],
      },
    },
  )
}
