/** Publishing from a backend: one message, or a list of them. */
import { Elysia, t } from 'elysia'
import type { Answer } from '../core/asks.ts'
import type { Hub } from '../core/hub.ts'
import { Idempotency } from '../core/idempotency.ts'
import type { MaybePromise } from '../core/maybe-promise.ts'
import type { Published, Recipient } from '../core/publisher.ts'
import { TidingsError } from '../protocol/errors.ts'
import { type ClientFrame, isRecord, isReservedType, parseClientFrame } from '../protocol/frames.ts'
import { MAX_FRAME_ID_LENGTH } from '../protocol/names.ts'
import { type Admin, adminOnly } from './admin-guard.ts'
import { Bodies, MAX_BODY_FRAMES } from './body.ts'
import type { HttpDeps } from './deps.ts'
import { Count, describedAsAdmin, Failure, failures, Identifier, RoomName } from './schemas.ts'

/** Longest wait for answers: the request is held open meanwhile, and whoever sits between gives up at about a minute. */
const MAX_ACK_TIMEOUT_MS = 60_000
/** Seconds that a request may be quiet beyond the wait for answers. */
const SPARE_S = 15
/** Messages of one batch: as many small ones as a body holds should be sent in several, so that others get a turn. */
const MAX_BATCH = 1000

/** Backends know users by names or by numbers. */
const Id = (description: string) => t.Union([Identifier(description), t.Integer()], { description })

const To = t.Union(
  [
    t.Literal('all', { description: 'Everybody who is connected.' }),
    t.Object({ room: RoomName }, { description: 'The members of a room.' }),
    t.Object(
      { user_id: Id('The user.'), device_id: t.Optional(Id('One device of the user.')) },
      { description: 'All devices of a user, or one.' },
    ),
  ],
  { description: 'Whom it is for.' },
)

const Publication = t.Object(
  {
    to: To,
    type: t.String({
      pattern: '^[A-Za-z0-9_.:-]{1,64}$',
      description: "What it is. The protocol's own types are refused.",
      examples: ['track_started'],
    }),
    payload: t.Optional(t.Unknown({ description: 'Any value; bytes as `{"$bin": "<base64>"}`.' })),
    data: t.Optional(t.Unknown({ description: 'Accepted in place of `payload`.' })),
    idempotency_key: t.Optional(
      t.String({
        minLength: 1,
        maxLength: MAX_FRAME_ID_LENGTH,
        description: 'Sent again with the same key it is not delivered again, and the first answer is given.',
      }),
    ),
    ephemeral: t.Optional(t.Boolean({ description: 'For whoever is connected now: never stored.' })),
    ack: t.Optional(
      t.Object(
        { timeout_ms: t.Integer({ minimum: 1, maximum: MAX_ACK_TIMEOUT_MS, description: 'How long to wait.' }) },
        { description: 'Asks every recipient for an answer and waits for them.' },
      ),
    ),
  },
  { title: 'Publication', description: 'A message to publish.', additionalProperties: true },
)

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

interface Publishing {
  readonly id: string
  readonly online: number
  readonly acks?: { connection_id: string; result: unknown }[]
  readonly missing?: number
}

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

interface ReadPublication {
  readonly frame: ClientFrame
  readonly to: Recipient
  readonly idempotencyKey: string | undefined
  readonly ackTimeoutMs: number | undefined
}

/**
 * Reads a publication as a frame is read, so that both know the same names.
 * @throws TidingsError `invalid_message`, `forbidden` for the protocol's own types.
 */
function readPublication(body: unknown): ReadPublication {
  const frame = parseClientFrame(body)
  const record = body as Record<string, unknown>
  if (isReservedType(frame.type)) throw new TidingsError('forbidden', "This type is the protocol's own")
  const { to } = frame
  if (to === undefined) throw invalid('to', 'to is "all" or names a room or a user_id')
  if (to.kind === 'device' && to.userId === undefined) throw invalid('to.user_id', 'a device is named with its user')
  return {
    frame,
    to: to as Recipient,
    idempotencyKey: readKey(record['idempotency_key']),
    ackTimeoutMs: readTimeout(record['ack']),
  }
}

function readKey(key: unknown): string | undefined {
  if (key === undefined || key === null) return undefined
  if (typeof key === 'string' && key.length > 0 && key.length <= MAX_FRAME_ID_LENGTH) return key
  throw invalid('idempotency_key', `1 to ${MAX_FRAME_ID_LENGTH} characters`)
}

function readTimeout(ack: unknown): number | undefined {
  if (ack === undefined || ack === null) return undefined
  const timeout = isRecord(ack) ? ack['timeout_ms'] : undefined
  if (Number.isInteger(timeout) && (timeout as number) >= 1 && (timeout as number) <= MAX_ACK_TIMEOUT_MS) {
    return timeout as number
  }
  throw invalid('ack.timeout_ms', `a whole number of 1 to ${MAX_ACK_TIMEOUT_MS}`)
}

function invalid(field: string, expected: string): TidingsError {
  return new TidingsError('invalid_message', `Invalid ${field}: ${expected}`, { details: { field } })
}

class BackendPublisher {
  private readonly hub: Hub
  /** The answers to publications that asked clients: a retry must not ask them again. */
  private readonly asked: Idempotency<Publishing>

  constructor(hub: Hub) {
    this.hub = hub
    this.asked = new Idempotency(hub.clock, hub.config.store.idempotency_ms)
  }

  publish(admin: Admin, { frame, to, idempotencyKey, ackTimeoutMs }: ReadPublication): Promise<Publishing> {
    // Two backends may count their keys the same way.
    const key = idempotencyKey === undefined ? undefined : `${admin.principal.id}\n${idempotencyKey}`
    const { type, payload } = frame
    const publish = async (ackId?: string): Promise<Published> => {
      const publication = { to, type, payload, ackId }
      return key === undefined ? this.hub.publish(publication) : this.hub.publishOnce(key, publication)
    }
    return admin.act(
      'publish',
      { to: nameOf(to), type, ...(ackTimeoutMs !== undefined && { ack: true }) },
      (): MaybePromise<Publishing> => {
        if (ackTimeoutMs === undefined) return publish()
        if (key === undefined) return this.ask(ackTimeoutMs, publish)
        this.asked.sweep()
        return this.asked.once('', key, () => this.ask(ackTimeoutMs, publish))
      },
      ({ id, online, missing }) => ({ id, online, ...(missing !== undefined && { missing }) }),
    )
  }

  private async ask(timeoutMs: number, publish: (ackId: string) => Promise<Published>): Promise<Publishing> {
    const published = Promise.withResolvers<Published>()
    const { answers, missing } = await this.hub.asks.ask(timeoutMs, async (ackId) => {
      const done = await publish(ackId)
      published.resolve(done)
      return done.online
    })
    return { ...(await published.promise), acks: answers.map(ackOf), missing }
  }
}

function ackOf({ connectionId, result }: Answer) {
  return { connection_id: connectionId, result }
}

/** The recipient in one word, for the audit log. */
function nameOf(to: Recipient): string {
  switch (to.kind) {
    case 'all':
      return 'all'
    case 'room':
      return `room:${to.room}`
    case 'user':
      return `user:${to.userId}`
    case 'device':
      return `device:${to.userId}/${to.deviceId}`
  }
}
