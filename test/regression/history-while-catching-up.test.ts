import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

// The acknowledgement named a position before the history: whoever came back with it got that again, as if it were new.
test('the history of a join waits for what its client is still being read', async () => {
  await using server = await startTestServer({ config: { rooms: [{ pattern: '*', history: { max_messages: 10 } }] } })
  const who = { user: 'alice', device: 'phone' }
  const before = await server.connect(who)
  const since = String(before.welcome.cursor)
  await before.close()
  const missed = 900
  const publish = (n: number) => server.app.publish({ user_id: 'alice' }, 'note', n)
  await Promise.all(Array.from({ length: missed }, (_, n) => publish(n)))
  const { cursor: said } = await server.app.publish({ room: 'lobby' }, 'chat', 'hello')

  await using client = await server.connect(who)
  const joined = await client.request({ type: 'join_room', payload: { room: 'lobby', since } })
  expect(Number(payloadOf(joined)['cursor'])).toBeGreaterThanOrEqual(Number(said))
  const heard = await client.received()
  expect(heard.map(({ payload }) => payload)).toEqual([...Array(missed).keys(), 'hello'])
})
