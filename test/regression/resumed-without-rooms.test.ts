import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

/** A close that is no goodbye: the client may come back for what it had. */
const LOST = 4999

// A connection without rooms was taken over, and closed for it, while its successor was told that there had been none.
test('a connection that was in no room is resumed like any other', async () => {
  await using server = await startTestServer()
  const who = { user: 'alice', device: 'phone' }
  const first = await server.connect(who)
  const second = await server.connect({ ...who, query: { resume: idOf(first.welcome.payload) } })
  expect(payloadOf(second.welcome)).toMatchObject({ rooms: [], resume: { session: true } })
  expect(await first.closed).toMatchObject({ code: 4009 })

  await second.close(LOST)
  const third = await server.connect({ ...who, query: { resume: idOf(second.welcome.payload) } })
  expect(payloadOf(third.welcome)).toMatchObject({ rooms: [], resume: { session: true } })
  await third.close()
})

function idOf(welcome: unknown): string {
  return (welcome as { connection_id: string }).connection_id
}
