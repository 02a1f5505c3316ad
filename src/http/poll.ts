/** The address of long polling. */
import { Elysia, t } from 'elysia'
import { holdSecondsOf, type Polls } from '../transports/poll.ts'
import type { PollAnswer } from '../transports/poll-connection.ts'
import { queryOf } from './address.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { CONNECT_PARAMETERS, text } from './parameters.ts'
import { failures } from './schemas.ts'

/** Seconds that a request may be quiet beyond its hold, before the runtime ends it. */
const SPARE_S = 15

const Answer = t.Object(
  {
    connection_id: t.String({ description: 'To be brought by the next poll.' }),
    cursor: t.String({ description: 'The position after the messages, to be brought by the next poll.' }),
    messages: t.Array(t.Unknown(), { description: 'Frames, in order; none where the time was up.' }),
    upgrade: t.Object({ transport: t.String(), url: t.String() }, { description: 'A better transport, and where.' }),
  },
  { title: 'PollAnswer', description: 'What there was for the client.' },
)

export function pollRoutes({ border, sticky }: HttpDeps, polls: Polls) {
  return new Elysia().get(
    '/realtime/poll',
    async ({ request, server }) => {
      server?.timeout(request, holdSecondsOf(queryOf(request)) + SPARE_S)
      const answer = await polls.poll(knockOf(request, server))
      const response = border.encoded(request, bodyOf(answer, request))
      for (const [name, value] of Object.entries(sticky(request, answer.instance))) response.headers.set(name, value)
      return response
    },
    {
      detail: {
        operationId: 'poll',
        tags: ['realtime'],
        summary: 'Fetches what there is, or waits for it',
        description:
          'The first poll opens a session and is answered at once. Each later one brings `connection_id` and `cursor` of the answer before it; the same cursor again gives the same stored messages again.',
        security: [{ userToken: [] }],
        parameters: [
          ...CONNECT_PARAMETERS,
          text('connection_id', 'The session to go on with. Unknown or ended: a new one is opened.'),
          text('timeout', 'Seconds to wait for something, at most 60.', { default: '25' }),
        ],
      },
      response: { 200: Answer, ...failures(400, 401, 403, 429, 503) },
    },
  )
}

/** The frames are JSON already: they are put in as they are. */
function bodyOf({ connectionId, cursor, messages }: PollAnswer, request: Request): string {
  const upgrade = JSON.stringify({ transport: 'websocket', url: webSocketUrl(request) })
  return `{"connection_id":"${connectionId}","cursor":"${cursor}","messages":[${messages.join()}],"upgrade":${upgrade}}`
}

/** Where this client would find the WebSocket: as it found the poll, behind whatever proxy. */
function webSocketUrl({ url, headers }: Request): string {
  const { host, protocol } = new URL(url)
  const secure = protocol === 'https:' || headers.get('x-forwarded-proto') === 'https'
  return `${secure ? 'wss' : 'ws'}://${host}/realtime`
}
