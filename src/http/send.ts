/** The address at which clients say something whose own transport only receives, and those who are not connected. */
import { Elysia, t } from 'elysia'
import { encodeMsgpack } from '../protocol/msgpack.ts'
import type { Polls } from '../transports/poll.ts'
import { type Outcome, Sends } from '../transports/send.ts'
import { Bodies, MAX_BODY_FRAMES, type PostedBody } from './body.ts'
import type { Border } from './border.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf } from './knock.ts'
import { Failure, failures } from './schemas.ts'

/** Seconds that a request may be quiet beyond the time of a handler. */
const SPARE_S = 15
/** The longest quiet that the runtime knows, in seconds: for handlers without a limit. */
const MAX_QUIET_S = 255

const Frame = t.Object(
  { type: t.String(), payload: t.Optional(t.Unknown()), correlation_id: t.Optional(t.String()) },
  { title: 'Frame', description: 'A frame of the server.', additionalProperties: true },
)

export function sendRoutes({ hub, door, border }: HttpDeps, polls: Polls) {
  const bodies = new Bodies(hub.config)
  const sends = new Sends(door, hub, polls)
  const handlerS = Math.ceil(hub.config.handlers.timeout_ms / 1000) || MAX_QUIET_S
  return new Elysia().post(
    '/realtime/send',
    async ({ request, server }) => {
      server?.timeout(request, Math.min(handlerS + SPARE_S, MAX_QUIET_S))
      let posted: PostedBody | undefined
      const outcomes = await sends.send(knockOf(request, server), async () => {
        posted = await bodies.frames(request)
        return posted.frames
      })
      return answer(border, request, posted, outcomes)
    },
    {
      // The body is read when it is known who sends it: what a stranger sends is not worth a byte.
      parse: [({ request }) => request],
      detail: {
        operationId: 'send',
        tags: ['realtime'],
        summary: 'Takes frames from a client',
        description: `One frame, or a list of them, with the \`connection_id\` of the client's stream or polls; without one, frames that say whom they are for. Each frame is answered, a list with a list, in which a failure is an \`error\` frame. JSON or MessagePack; a list may have ${MAX_BODY_FRAMES} times the bytes of one frame.`,
        security: [{ userToken: [] }],
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { oneOf: [{ type: 'object' }, { type: 'array', items: {} }] } } },
        },
      },
      response: {
        200: t.Union([Frame, t.Array(t.Union([Frame, t.Array(Frame)]))], {
          description: 'The answer; where there are several, as with the history of a room, a list of them.',
        }),
        ...failures(400, 401, 403, 413, 429, 503),
        404: Failure,
      },
    },
  )
}

function answer(
  border: Border,
  request: Request,
  posted: PostedBody | undefined,
  outcomes: readonly Outcome[],
): Response {
  const [only] = outcomes
  const isList = posted?.list ?? false
  if (!isList && only?.error !== undefined) {
    const correlationId = only.frames.at(-1)?.correlation_id ?? ''
    return border.refusal(request, only.error, { error: { ...only.error.toBody(), correlation_id: correlationId } })
  }
  const value = isList ? outcomes.map(answerOf) : only && answerOf(only)
  if (posted?.format !== 'msgpack') return border.answer(request, value)
  const headers = { 'content-type': 'application/msgpack', 'cache-control': 'no-store' }
  return new Response(encodeMsgpack(value) as Uint8Array<ArrayBuffer>, {
    headers: { ...headers, ...border.cors.headers(request) },
  })
}

/** One answer as itself, several as a list. */
function answerOf({ frames }: Outcome): unknown {
  return frames.length === 1 ? frames[0] : frames
}
