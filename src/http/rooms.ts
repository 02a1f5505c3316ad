/** The rooms: a list, and what holds in one. */
import { Elysia, t } from 'elysia'
import { describeRoom, isRoomKnown, pageOfHistory, pageOfRooms } from '../core/queries.ts'
import { parseCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import type { ServerFrame } from '../protocol/frames.ts'
import { adminOnly } from './admin-guard.ts'
import type { HttpDeps } from './deps.ts'
import { fromPosition, invalidPosition, onlyKnown, pageSize, toPosition } from './input.ts'
import { Count, describedAsAdmin, failures, PageOf, paging, RoomName } from './schemas.ts'

const Summary = t.Object(
  {
    room: t.String(),
    participant_count: Count('Users in the room.'),
    connections: Count('Connections in the room: a user may have several.'),
  },
  { title: 'RoomSummary', description: 'A line of the list of rooms.' },
)

const Description = t.Object(
  {
    room: t.String(),
    participants: t.Array(t.Object({ id: t.String(), username: t.Union([t.String(), t.Null()]) }), {
      description: 'The first 1,000 users, in the order of their coming.',
    }),
    participant_count: Count('All users in the room.'),
    state: t.Unknown({ description: 'What `set_room_state` has made of it; an empty object at first.' }),
    version: Count('Grows with every change of the state.'),
    cursor: t.String({ description: 'A position that includes what is told here.' }),
  },
  { title: 'Room', description: 'A room as its members see it.' },
)

const Stored = t.Unsafe<ServerFrame>(
  t.Object(
    {
      type: t.String(),
      payload: t.Optional(t.Unknown()),
      id: t.String(),
      room: t.String(),
      cursor: t.String({ description: 'Where it stands in the log.' }),
      timestamp: t.Number({ description: 'When it was published. Seconds since 1970.' }),
    },
    { additionalProperties: true, title: 'StoredMessage', description: 'A frame as the members of the room got it.' },
  ),
)

const ListQuery = t.Object(paging)

export function roomRoutes(deps: HttpDeps) {
  const { hub } = deps
  return new Elysia(describedAsAdmin('rooms'))
    .use(adminOnly(deps))
    .get(
      '/realtime/rooms',
      async ({ request, query }) => {
        onlyKnown(request, Object.keys(ListQuery.properties))
        const { items, last } = await pageOfRooms(hub, positionOf(query.after), pageSize(query.limit))
        return { items, next: last === undefined ? null : toPosition(last) }
      },
      {
        query: ListQuery,
        response: { 200: PageOf(Summary, 'Rooms'), ...failures(400, 401) },
        detail: { operationId: 'listRooms', summary: 'Lists the rooms that somebody is in, by name' },
      },
    )
    .get(
      '/realtime/rooms/:room',
      async ({ params }) => {
        if (!(await isRoomKnown(hub, params.room))) throw new TidingsError('not_found')
        return describeRoom(hub, params.room)
      },
      {
        params: t.Object({ room: RoomName }),
        response: { 200: Description, ...failures(400, 401, 404) },
        detail: {
          operationId: 'getRoom',
          summary: 'Who is in a room and what holds there',
          description: '404 where it has no member, no state and no history.',
        },
      },
    )
    .get(
      '/realtime/rooms/:room/history',
      async ({ params, query, request }) => {
        onlyKnown(request, Object.keys(ListQuery.properties))
        if (!(await isRoomKnown(hub, params.room))) throw new TidingsError('not_found')
        return pageOfHistory(hub, params.room, cursorOf(query.after), pageSize(query.limit))
      },
      {
        params: t.Object({ room: RoomName }),
        query: ListQuery,
        response: { 200: PageOf(Stored, 'History'), ...failures(400, 401, 404) },
        detail: {
          operationId: 'getRoomHistory',
          summary: 'What a room keeps, oldest first',
          description: '`after` is a cursor; `next` of a page is the cursor of its last message.',
        },
      },
    )
}

/** `after` of a history is a cursor: a page may also begin where somebody was. */
function cursorOf(after: string | undefined): number {
  const cursor = parseCursor(after ?? '0')
  if (cursor === undefined) throw new TidingsError('invalid_message', 'Invalid after: a cursor is expected', AFTER)
  return cursor
}

const AFTER = { details: { field: 'after' } }

function positionOf(after: string | undefined): string | undefined {
  if (after === undefined) return undefined
  const [name] = fromPosition(after)
  if (typeof name !== 'string') throw invalidPosition()
  return name
}
