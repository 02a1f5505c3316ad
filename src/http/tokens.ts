/** Taking tokens back: one, a user's, a device's, or everybody's. */
import { Elysia } from 'elysia'
import { adminOnly } from './admin-guard.ts'
import { Bodies } from './body.ts'
import type { HttpDeps } from './deps.ts'
import { RevocationBody, readRevocation } from './revocation.ts'
import { Disconnected, describedAsAdmin, failures } from './schemas.ts'

export function tokenRoutes(deps: HttpDeps) {
  const { hub } = deps
  const bodies = new Bodies(hub.config)
  const { clock_tolerance_ms: toleranceMs } = hub.config.auth
  return new Elysia(describedAsAdmin('tokens')).use(adminOnly(deps)).post(
    '/realtime/tokens/revoke',
    ({ admin, body }) => {
      const { revocation, names } = readRevocation(body, hub.clock.now(), toleranceMs)
      return admin.act(
        'revoke_tokens',
        names,
        async () => ({ disconnected: await hub.revoker.revoke(revocation) }),
        (result) => result,
      )
    },
    {
      parse: [({ request }) => bodies.one(request)],
      body: RevocationBody,
      response: { 200: Disconnected, ...failures(400, 401, 413, 503) },
      detail: {
        operationId: 'revokeTokens',
        summary: 'Takes tokens back, and ends the connections that they have opened',
        description:
          'Answered when that is done on every instance. A 503 that says so has kept the revocation: ask again to learn that it was done.',
      },
    },
  )
}
