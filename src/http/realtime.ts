/** The addresses at which clients connect. */
import { Elysia } from 'elysia'
import type { Hub } from '../core/hub.ts'
import type { Door, Knock } from '../transports/handshake.ts'
import { upgrade } from '../transports/websocket.ts'

/** The WebSocket addresses; the last two are where clients of older servers look. */
const WEBSOCKET_PATHS = ['/realtime', '/ws', '/ws/']

export interface RealtimeDeps {
  readonly hub: Hub
  readonly door: Door
}

export function realtimeRoutes({ hub, door }: RealtimeDeps) {
  const app = new Elysia({ name: 'tidings-realtime' })
  for (const path of WEBSOCKET_PATHS) {
    app.get(
      path,
      async ({ request, server }) => {
        if (server === null) throw new Error('The server does not listen yet')
        await upgrade(door, hub, knockOf(request, server), server)
      },
      {
        detail: {
          tags: ['realtime'],
          summary: 'Opens a WebSocket',
          description: 'Answers 101 to an upgrade with valid credentials; anything else is an error that says why.',
        },
      },
    )
  }
  return app
}

/** What the door needs of a request. */
export function knockOf(request: Request, server: { requestIP(request: Request): { address: string } | null }): Knock {
  return { request, query: new URL(request.url).searchParams, peer: server.requestIP(request)?.address ?? '' }
}
