/** The address of event streams. */
import { Elysia, t } from 'elysia'
import { openStream } from '../transports/sse.ts'
import { StreamWriter } from '../transports/stream-writer.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { CONNECT_PARAMETERS, header } from './parameters.ts'
import { failures } from './schemas.ts'

const HEADERS = {
  'content-type': 'text/event-stream',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store, no-transform',
  // nginx would hold events back until a buffer is full.
  'x-accel-buffering': 'no',
}

export function streamRoutes({ hub, door, border, sticky }: HttpDeps) {
  const writer = new StreamWriter()
  return new Elysia().get(
    '/realtime/sse',
    async ({ request, server }) => {
      const stream = await openStream(door, hub, writer, knockOf(request, server))
      // The runtime ends what is quiet; here quiet is normal, and the heartbeat looks after it.
      server?.timeout(request, 0)
      return new Response(stream, { headers: { ...HEADERS, ...border.cors.headers(request), ...sticky(request) } })
    },
    {
      detail: {
        operationId: 'stream',
        tags: ['realtime'],
        summary: 'Opens an event stream',
        description:
          'Each event is a frame as JSON; its `id` is a position, which browsers bring back in `Last-Event-ID`. Frames to the server go to `/realtime/send`.',
        security: [{ userToken: [] }],
        parameters: [
          ...CONNECT_PARAMETERS,
          header('Last-Event-ID', 'The position from which to go on; wins over `cursor`.'),
        ],
      },
      response: {
        200: t.String({
          description: 'Events until either side ends the stream.',
          contentMediaType: 'text/event-stream',
        }),
        ...failures(400, 401, 403, 429, 503),
      },
    },
  )
}
