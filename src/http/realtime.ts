/** The addresses at which clients connect. */
import { Elysia, t } from 'elysia'
import { upgrade } from '../transports/websocket.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { failures } from './schemas.ts'

/** Where clients of older servers look for the WebSocket. */
const ALIASES = ['/ws', '/ws/']

const text = (name: string, description: string, schema: object = {}) => ({
  name,
  in: 'query' as const,
  required: false,
  description,
  schema: { type: 'string' as const, ...schema },
})

const PARAMETERS = [
  text('token', 'The token, for clients that cannot set a header. A header keeps it out of addresses.'),
  text('device_id', "The device, within the token's user. Absent: one is made for this connection alone."),
  text('rooms', 'Rooms to join at once, separated by commas.', { example: 'lobby,news' }),
  text('format', 'What the server sends in; a subprotocol wins.', { enum: ['json', 'msgpack'], default: 'json' }),
  text('envelope', 'The key under which payloads are sent.', { enum: ['payload', 'data'], default: 'payload' }),
  text('close_reason', '`1`: a refusal accepts the socket, says why in a frame and closes it, for browsers.', {
    enum: ['1'],
  }),
  {
    name: 'Sec-WebSocket-Protocol',
    in: 'header' as const,
    required: false,
    description: '`tidings.v1.json` or `tidings.v1.msgpack`, and `token.<JWT>` to bring a token.',
    schema: { type: 'string' as const },
  },
]

export function realtimeRoutes({ hub, door }: HttpDeps) {
  const app = new Elysia()
  for (const path of ['/realtime', ...ALIASES]) {
    app.get(
      path,
      async ({ request, server }) => {
        if (server === null) throw new Error('The server does not listen yet')
        await upgrade(door, hub, knockOf(request, server), server)
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
