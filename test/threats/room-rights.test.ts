import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestClient, type TestServer, type Who } from '../../src/testing/index.ts'

setDefaultTimeout(30_000)

/**
 * Danger: one way of asking forgets to ask the rules. Every kind of user tries every action in every kind of room over a
 * real connection; what comes out is compared with the rules as they are written down here, in other words.
 */
type Access = 'any' | 'member' | 'claim' | 'none' | 'role:dj'
const JOINS: readonly Access[] = ['any', 'claim', 'none', 'role:dj']
const USES: readonly Access[] = ['any', 'member', 'none', 'role:dj']

interface Kind {
  readonly room: string
  readonly join: Access
  readonly publish: Access
  readonly state: Access
}

const KINDS: Kind[] = JOINS.flatMap((join) =>
  USES.flatMap((publish) =>
    USES.map((state) => ({
      room: `${join}.${publish}.${state}`.replaceAll('role:dj', 'dj'),
      join,
      publish,
      state,
    })),
  ),
)

/** Users with what their tokens say. */
const USERS: readonly Who[] = [
  { user: 'plain' },
  { user: 'dj', roles: ['dj'] },
  { user: 'admin', roles: ['admin'] },
  { user: 'claims-all', allowedRooms: ['*'] },
  { user: 'claims-some', allowedRooms: ['any.*', 'dj.*'], roles: ['dj'] },
  { user: 'claims-none', allowedRooms: [] },
  { user: 'dj-there', roomRoles: Object.fromEntries(KINDS.map(({ room }) => [room, 'dj'])) },
  { user: 'dj-elsewhere', roomRoles: { elsewhere: 'dj' } },
]

/** The rules once more, written from the documentation. */
function mayDo(who: Who, { room }: Kind, access: Access, isMember: boolean): boolean {
  if (who.roles?.includes('admin')) return true
  const named = who.allowedRooms?.some((pattern) => pattern === '*' || room.startsWith(pattern.slice(0, -1)))
  if (named === false) return false
  switch (access) {
    case 'any':
      return true
    case 'none':
      return false
    case 'member':
      return isMember
    case 'claim':
      return named === true
    case 'role:dj':
      return (who.roles?.includes('dj') ?? false) || who.roomRoles?.[room] === 'dj'
  }
}

let server: TestServer
beforeAll(async () => {
  const rooms = KINDS.map(({ room, join, publish, state }) => ({ pattern: room, join, publish, state }))
  const limits = { max_rooms: 0, messages_per_second: 0, bytes_per_second: 0, per_user: 0 }
  server = await startTestServer({ config: { rooms, limits } as never })
})
afterAll(() => server.stop())

const done = async (client: TestClient, frame: { type: string; [field: string]: unknown }) =>
  (await client.request(frame)).type === 'ack'

for (const format of ['json', 'msgpack'] as const) {
  for (const who of USERS) {
    test.concurrent(`${who.user}, in ${format}, may do in each of ${KINDS.length} kinds of rooms what the rules say`, async () => {
      await using byFrame = await server.connect({ ...who, format })
      await using byAddress = await server.connect({ ...who, format, rooms: KINDS.map(({ room }) => room) })
      const welcomed = (byAddress.welcome.payload as { rooms: { room: string }[] }).rooms.map(({ room }) => room)
      const differences: unknown[] = []
      const compare = (kind: Kind, action: string, expected: boolean, found: boolean) => {
        if (expected !== found) differences.push({ room: kind.room, action, expected, found })
      }
      for (const kind of KINDS) {
        const { room } = kind
        const attempt = async (isMember: boolean) => {
          const as = isMember ? 'member' : 'stranger'
          const published = await done(byFrame, { type: 'chat', to: { room } })
          compare(kind, `publish as ${as}`, mayDo(who, kind, kind.publish, isMember), published)
          // The state is for members, whatever the rule says.
          const touches = isMember && mayDo(who, kind, kind.state, isMember)
          compare(kind, `read as ${as}`, touches, await done(byFrame, { type: 'get_room_state', payload: { room } }))
          const patch = { type: 'set_room_state', payload: { room, patch: { by: who.user } } }
          compare(kind, `write as ${as}`, touches, await done(byFrame, patch))
        }
        await attempt(false)
        const mayJoin = mayDo(who, kind, kind.join, false)
        const joined = await done(byFrame, { type: 'join_room', payload: { room } })
        compare(kind, 'join', mayJoin, joined)
        compare(kind, 'join by address', mayJoin, welcomed.includes(room))
        if (joined) await attempt(true)
      }
      expect(differences).toEqual([])
    })
  }
}
