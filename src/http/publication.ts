/** A message as a backend hands it in, and the rules that it is read by. */
import { t } from 'elysia'
import type { Recipient } from '../core/publication.ts'
import { TidingsError } from '../protocol/errors.ts'
import { type ClientFrame, isRecord, isReservedType, parseClientFrame } from '../protocol/frames.ts'
import { MAX_FRAME_ID_LENGTH } from '../protocol/names.ts'
import { Identifier, RoomName } from './schemas.ts'

/** Longest wait for answers: the request is held open meanwhile, and whoever sits between gives up at about a minute. */
export const MAX_ACK_TIMEOUT_MS = 60_000

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

export const Publication = t.Object(
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
        { description: 'Asks every recipient for an answer and waits for them. Such a message is not stored.' },
      ),
    ),
  },
  { title: 'Publication', description: 'A message to publish.', additionalProperties: true },
)

export interface ReadPublication {
  readonly frame: ClientFrame
  readonly to: Recipient
  readonly idempotencyKey: string | undefined
  readonly ackTimeoutMs: number | undefined
}

/**
 * Reads a publication as a frame is read, so that both know the same names.
 * @throws TidingsError `invalid_message`, `forbidden` for the protocol's own types.
 */
export function readPublication(body: unknown): ReadPublication {
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
