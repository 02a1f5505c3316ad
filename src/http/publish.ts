/** Publishing from a backend: one message, or a list of them. */
import { Elysia, t } from 'elysia'
import { TidingsError } from '../protocol/errors.ts'
import { adminOnly } from './admin-guard.ts'
import { BackendPublisher } from './backend-publisher.ts'
import { Bodies, MAX_BODY_FRAMES } from './body.ts'
import type { HttpDeps } from './deps.ts'
import { MAX_ACK_TIMEOUT_MS, Publication, readPublication } from './publication.ts'
import { Count, describedAsAdmin, Failure, failures } from './schemas.ts'

/** Seconds that a request may be quiet beyond the wait for answers. */
const SPARE_S = 15
/** Messages of one batch: as many small ones as a body holds should be sent in several, so that others get a turn. */
const MAX_BATCH = 1000

const PublishedAnswer = t.Object(
  {
    id: t.String({ description: "The message's own id." }),
    cursor: t.Optional(t.String({ description: 'On messages that are stored.' })),
    online: Count("The recipients' connections at that moment."),
    acks: t.Optional(
      t.Array(t.Object({ connection_id: t.String(), result: t.Optional(t.Unknown()) }), {
        description: 'The answers, where they were asked for.',
      }),
    ),
    missing: t.Optional(Count('Recipients that have not answered in time.')),
  },
  { title: 'Published', description: 'What became of it.' },
)

export function publishRoutes(deps: HttpDeps) {
  const { hub } = deps
  const bodies = new Bodies(hub.config)
  const publisher = new BackendPublisher(hub)
  return new Elysia(describedAsAdmin('publish'))
    .use(adminOnly(deps))
    .post(
      '/realtime/publish',
      ({ admin, body, request, server }) => {
        const publication = readPublication(body)
        const { ackTimeoutMs } = publication
        if (ackTimeoutMs !== undefined) server?.timeout(request, Math.ceil(ackTimeoutMs / 1000) + SPARE_S)
        return publisher.publish(admin, publication)
      },
      {
        parse: [({ request }) => bodies.one(request)],
        body: Publication,
        response: { 200: PublishedAnswer, ...failures(400, 401, 403, 413, 503) },
        detail: { operationId: 'publish', summary: 'Publishes a message' },
      },
    )
    .post(
      '/realtime/publish/batch',
      async ({ admin, body, request, server }) => {
        if (body.length > MAX_BATCH) {
          const details = { max_messages: MAX_BATCH }
          throw new TidingsError('payload_too_large', `A batch has at most ${MAX_BATCH} messages`, { details })
        }
        server?.timeout(request, MAX_ACK_TIMEOUT_MS / 1000 + SPARE_S)
        const outcomes = body.map(async (item) => {
          bodies.check(item)
          return publisher.publish(admin, readPublication(item))
        })
        const settled = await Promise.allSettled(outcomes)
        return settled.map((outcome) =>
          outcome.status === 'fulfilled' ? outcome.value : deps.border.tell(request, outcome.reason),
        )
      },
      {
        parse: [({ request }) => bodies.list(request)],
        body: t.Array(t.Unknown({ description: 'A `Publication`.' })),
        response: {
          200: t.Array(t.Union([PublishedAnswer, Failure]), {
            title: 'Outcomes',
            description: 'One outcome for each message, in their order.',
          }),
          ...failures(400, 401, 413),
        },
        detail: {
          operationId: 'publishBatch',
          summary: 'Publishes messages in order, each with its own outcome',
          description: `At most ${MAX_BATCH} messages, each of the size of one, and together ${MAX_BODY_FRAMES} times that.`,
        },
      },
    )
}
