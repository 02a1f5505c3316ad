import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

/** A close that is no goodbye: the client may come back for what it had. */
const LOST = 4999

// The rooms of a resumed session counted as joined when it came back: what it had not been read by then was gone.
test('a session that is cut in the middle of its replay comes back for the rest', async () => {
  await using server = await startTestServer({
    config: { rooms: [{ pattern: '*', history: { max_messages: 100 } }] },
  })
  const who = { user: 'alice', device: 'phone' }
  const first = await server.connect({ ...who, rooms: ['lobby'] })
  const cursor = String(first.welcome.cursor)
  await first.close(LOST)
  for (const n of [1, 2, 3]) await server.app.publish({ room: 'lobby' }, 'note', n)

  const second = await server.connect({ ...who, query: { cursor, resume: idOf(first.welcome.payload) } })
  await second.close(LOST)
  const third = await server.connect({ ...who, query: { cursor, resume: idOf(second.welcome.payload) } })

  expect(payloadOf(third.welcome)).toMatchObject({ resume: { session: true, recovered: true, replayed: 3, gaps: [] } })
  expect((await third.received()).map(({ payload }) => payload)).toEqual([1, 2, 3])
  await third.close()
})

function idOf(welcome: unknown): string {
  return (welcome as { connection_id: string }).connection_id
}
