/** Trading a token for a ticket, so that no token stands in an address. */
import { Elysia, t } from 'elysia'
import { TICKET_TTL_MS } from '../auth/tickets.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { failures } from './schemas.ts'

const Ticket = t.Object(
  {
    ticket: t.String({ description: 'For `?ticket=` of one connection.' }),
    expires_in: t.Integer({ description: 'Seconds within which it must be used.' }),
  },
  { title: 'Ticket', description: 'Good for one session.' },
)

export function ticketRoutes({ door }: HttpDeps) {
  return new Elysia().post(
    '/realtime/ticket',
    async ({ request, server }) => ({
      ticket: await door.issueTicket(knockOf(request, server)),
      expires_in: TICKET_TTL_MS / 1000,
    }),
    {
      response: { 200: Ticket, ...failures(401, 403, 429) },
      detail: {
        operationId: 'issueTicket',
        tags: ['realtime'],
        summary: 'Trades a token for a ticket',
        description:
          'For browsers, which cannot set a header on a WebSocket or an event stream. A ticket opens one session; event streams and polls may bring it again for that session.',
        security: [{ userToken: [] }],
      },
    },
  )
}
