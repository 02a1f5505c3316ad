import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

/** A close that is no goodbye: the client may come back for what it had. */
const LOST = 4999
/** The highest number that a cursor can be: the year 2255. */
const FUTURE = String(Number.MAX_SAFE_INTEGER)

// A room counted as joined at the cursor that the client had brought: nothing that was said in it before that could be resumed.
test('a client that came with a cursor from the future has joined its rooms now', async () => {
  await using server = await startTestServer({
    config: { rooms: [{ pattern: '*', history: { max_messages: 100 } }] },
  })
  const who = { user: 'alice', device: 'phone' }
  const first = await server.connect({ ...who, rooms: ['lobby'], query: { cursor: FUTURE } })
  const position = first.welcome.cursor
  expect(payloadOf(first.welcome)).toMatchObject({
    rooms: [{ room: 'lobby', cursor: position }],
    resume: { recovered: false, gaps: [{ inbox: true }, { room: 'lobby', since: FUTURE }] },
  })
  const { connection_id } = payloadOf(first.welcome)
  await first.close(LOST)
  for (const n of [1, 2, 3]) await server.app.publish({ room: 'lobby' }, 'note', n)

  const again = await server.connect({ ...who, query: { cursor: String(position), resume: String(connection_id) } })
  expect(payloadOf(again.welcome)).toMatchObject({ resume: { session: true, recovered: true, replayed: 3, gaps: [] } })
  expect((await again.received()).map(({ payload }) => payload)).toEqual([1, 2, 3])
  await again.close()
})
