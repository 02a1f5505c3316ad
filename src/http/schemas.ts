/** What answers look like, for those who read the description. A `title` makes a schema one that others refer to. */
import { type TSchema, t } from 'elysia'
import { MAX_ID_LENGTH } from '../protocol/names.ts'
import { DEFAULT_PAGE, MAX_PAGE } from './input.ts'

const Timestamp = (description: string) => t.Number({ description: `${description}. Seconds since 1970.` })
const Nullable = <S extends TSchema>(schema: S, description: string) => t.Union([schema, t.Null()], { description })

export const Transport = t.Union([t.Literal('websocket'), t.Literal('sse'), t.Literal('poll'), t.Literal('socketio')], {
  description: 'How the client is connected.',
})

export const State = t.Union([t.Literal('connecting'), t.Literal('open'), t.Literal('draining'), t.Literal('closed')], {
  description: 'Where the connection is in its life.',
})

/** A list that nobody is given to change. */
const Strings = (description: string) => t.Unsafe<readonly string[]>(t.Array(t.String(), { description }))

export const Identifier = (description: string) => t.String({ minLength: 1, maxLength: MAX_ID_LENGTH, description })

export const RoomName = t.String({
  pattern: '^[A-Za-z0-9_.:@-]{1,128}$',
  description: 'The name of a room.',
  examples: ['lobby'],
})

export const Count = (description: string) => t.Integer({ minimum: 0, description })

export const ConnectionRecord = t.Object(
  {
    connection_id: t.String(),
    user_id: t.String(),
    device_id: t.String(),
    username: Nullable(t.String(), 'Shown to others.'),
    roles: Strings('Matched by room rules.'),
    state: State,
    transport: Transport,
    format: t.Union([t.Literal('json'), t.Literal('msgpack')], { description: 'What the server sends in.' }),
    ip: t.String({ description: 'The address of the client, behind trusted proxies.' }),
    user_agent: Nullable(t.String(), 'What the client calls itself.'),
    connected_at: Timestamp('When the client connected'),
    last_seen: Timestamp('The last sign of life'),
    rooms: Strings('The rooms joined, in the order of joining.'),
    metadata: t.Record(t.String(), t.Unknown(), { description: "The token's `meta` and what handlers have set." }),
    counters: t.Object({
      frames_in: Count('Frames that the client has sent.'),
      bytes_in: Count('Bytes that the client has sent.'),
      frames_out: Count('Frames that the client was sent.'),
      pending_bytes: Count('Bytes that wait for the client to read.'),
    }),
  },
  { title: 'Connection', description: 'A connection as an operator sees it.' },
)

export const Disconnected = t.Object(
  { disconnected: Count('Connections that were ended.') },
  { title: 'Disconnected', description: 'How many connections were ended.' },
)

/** What holds for the description of every admin route. */
export const describedAsAdmin = (tag: string) => ({ detail: { tags: [tag], security: [{ admin: [] }] } })

/** The parameters of a list. */
export const paging = {
  limit: t.Optional(
    t.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE, description: 'Items on a page.' }),
  ),
  after: t.Optional(t.String({ description: 'The `next` of the page before. Opaque.' })),
}

/** @param title names the list, for example `Connections`. */
export const PageOf = <S extends TSchema>(item: S, title: string) =>
  t.Object(
    { items: t.Array(item), next: Nullable(t.String(), 'Where the next page begins; null on the last.') },
    { title, description: 'One page of a list.' },
  )

export const Failure = t.Object(
  {
    error: t.Object({
      code: t.String({ description: 'The family, `RT_001` to `RT_009`.', examples: ['RT_004'] }),
      error_code: t.String({ description: 'What it is, exactly.', examples: ['invalid_message'] }),
      message: t.String({ description: 'For people. Echoes nothing that was sent.' }),
      reconnect: t.Boolean({ description: 'Whether trying again the same way can help.' }),
      correlation_id: t.String({ description: 'Stands in the log of the server too.' }),
      details: t.Optional(t.Record(t.String(), t.Unknown(), { description: 'Fields and limits.' })),
      retry_after_ms: t.Optional(Count('Milliseconds after which a retry can succeed.')),
    }),
  },
  { title: 'Error' },
)

type FailureStatus = 400 | 401 | 403 | 404 | 413 | 426 | 429 | 503

/** The failures of a route, to be spread into its responses. */
export function failures<const Statuses extends readonly FailureStatus[]>(
  ...statuses: Statuses
): { [Status in Statuses[number]]: typeof Failure } {
  return Object.fromEntries(statuses.map((status) => [status, Failure])) as {
    [Status in Statuses[number]]: typeof Failure
  }
}
