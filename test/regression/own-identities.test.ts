import { expect, test } from 'bun:test'
import type { Identity } from '../../src/index.ts'
import { RefusedError, startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'

/** What programs without types return: the numbers of a database, and no roles. */
const returning = (identity: object) => tidings().authenticate(() => identity as Identity)

// A user that was a number in the registry and a text in `to` never got a message; one without roles got RT_009 for each
// frame.
test('a user whom an application knows by a number is reached by that number, and needs no roles', async () => {
  await using server = await startTestServer({ app: returning({ userId: 7, deviceId: 1 }) })
  await using client = await server.connect({ user: 'ignored', rooms: ['lobby'] })
  expect(client.welcome.payload).toMatchObject({ user_id: '7', device_id: '1' })
  expect(await server.app.publish({ user_id: '7' }, 'note', 'hello')).toMatchObject({ online: 1 })
  expect(await client.next('note')).toMatchObject({ payload: 'hello' })
  expect((await client.request({ type: 'note', to: { room: 'lobby' } })).type).toBe('ack')
})

// A line feed in an id parts the names of topics: such a user would have heard what is for another user's device.
test('an application that returns no id, or one with control characters, lets nobody in and is told', async () => {
  for (const identity of [{}, { userId: '' }, { userId: 'alice\nphone' }, { userId: 'alice', deviceId: {} }]) {
    await using server = await startTestServer({ app: returning(identity) })
    const refused = await server.connect({ user: 'ignored' }).catch((error: RefusedError) => error)
    expect(refused).toBeInstanceOf(RefusedError)
    expect((refused as RefusedError).error).toMatchObject({ error_code: 'unavailable' })
    await server.logged('application_error', { stage: 'authenticate' })
  }
})
