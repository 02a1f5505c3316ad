/** The rooms: a list, and what holds in one. */
import { Elysia, t } from 'elysia'
import { describeRoom, isRoomKnown, pageOfRooms } from '../core/queries.ts'
import { TidingsError } from '../protocol/errors.ts'
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
}

function positionOf(after: string | undefined): string | undefined {
  if (after === undefined) return undefined
  const [name] = fromPosition(after)
  if (typeof name !== 'string') throw invalidPosition()
  return name
}
