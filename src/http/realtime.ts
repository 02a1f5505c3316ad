/** The addresses at which clients connect. */
import { Elysia, t } from 'elysia'
import type { TidingsError } from '../protocol/errors.ts'
import { upgrade } from '../transports/websocket.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { CONNECT_PARAMETERS, header, text } from './parameters.ts'
import { failures } from './schemas.ts'

/** Where clients of older servers look for the WebSocket. */
const ALIASES = ['/ws', '/ws/']

const PARAMETERS = [
  ...CONNECT_PARAMETERS,
  text('format', 'What the server sends in; a subprotocol wins.', { enum: ['json', 'msgpack'], default: 'json' }),
  text('close_reason', '`1`: a refusal accepts the socket, says why in a frame and closes it, for browsers.', {
    enum: ['1'],
  }),
  header('Sec-WebSocket-Protocol', '`tidings.v1.json` or `tidings.v1.msgpack`, and `token.<JWT>` to bring a token.'),
]

export function realtimeRoutes({ hub, door, border, sticky }: HttpDeps) {
  const app = new Elysia()
  for (const path of ['/realtime', ...ALIASES]) {
    app.get(
      path,
      async ({ request, server }) => {
        if (server === null) throw new Error('The server does not listen yet')
        const writeDown = (error: TidingsError) => border.tell(request, error).error.correlation_id
        await upgrade(door, hub, knockOf(request, server), server, { headers: sticky(request), writeDown })
      },
      {
        detail: {
          ...(path !== '/realtime' && { hide: true }),
          operationId: 'connect',
          tags: ['realtime'],
          summary: 'Opens a WebSocket',
          description: `Answers 101 to an upgrade with valid credentials. ${ALIASES.map((alias) => `\`${alias}\``).join(' and ')} are the same address.`,
          security: [{ userToken: [] }],
          parameters: PARAMETERS,
        },
        response: {
          101: t.Void({ description: 'The connection is a WebSocket now.' }),
          ...failures(400, 401, 403, 426, 429, 503),
        },
      },
    )
  }
  return app
}
