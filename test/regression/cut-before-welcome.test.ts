import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

/** A close that is no goodbye: the client may come back for what it had. */
const LOST = 4999

// What was kept of a lost connection was given away once: a network that failed twice in a row cost a client its rooms.
test('a client that is cut before it has heard of its new connection resumes the former one again', async () => {
  await using server = await startTestServer()
  const who = { user: 'alice', device: 'phone' }
  const first = await server.connect({ ...who, rooms: ['lobby'] })
  await first.close(LOST)
  const resume = String(payloadOf(first.welcome)['connection_id'])

  const unheard = await server.connect({ ...who, query: { resume } })
  await unheard.close(LOST)
  const stillOpen = await server.connect({ ...who, query: { resume } })
  const heard = await server.connect({ ...who, query: { resume } })

  expect(payloadOf(heard.welcome)).toMatchObject({ rooms: [{ room: 'lobby' }], resume: { session: true } })
  expect(await stillOpen.closed).toEqual({ code: 4009, reason: 'connection_limit' })
  expect(server.hub.registry.size).toBe(1)
  await heard.close()
})
