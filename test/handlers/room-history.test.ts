import { expect, test } from 'bun:test'
import { type Frame, startTestServer, type TestClient } from '../../src/testing/index.ts'

const KEEPS = {
  rooms: [{ pattern: 'kept', history: { max_messages: 5000, max_age: '1h' as const } }],
  limits: { messages_per_second: 0, bytes_per_second: 0 },
}

function publish(client: TestClient, payload: unknown): Promise<Frame> {
  return client.request({ type: 'count', to: { room: 'kept' }, payload })
}

async function counted(client: TestClient): Promise<{ history: unknown[]; live: unknown[] }> {
  const frames = (await client.received()).filter(({ type }) => type === 'count')
  const of = (history: boolean) =>
    frames.filter((frame) => (frame['history'] === true) === history).map(({ payload }) => payload)
  return { history: of(true), live: of(false) }
}

test('a member that joins again is brought the history that it asks for', async () => {
  await using server = await startTestServer({ config: KEEPS })
  await using bob = await server.connect({ user: 'bob', rooms: ['kept'] })
  const acks = []
  for (const n of [0, 1, 2, 3]) acks.push(await publish(bob, n))
  await using alice = await server.connect({ user: 'alice', rooms: ['kept'] })
  const last = await alice.request({ type: 'join_room', payload: { room: 'kept', history: 2 } })
  expect(last.payload).toMatchObject({ replayed: 2, participant_count: 2 })
  expect(await counted(alice)).toEqual({ history: [2, 3], live: [] })
  const { cursor } = (acks[0]?.payload ?? {}) as { cursor: string }
  const since = await alice.request({ type: 'join_room', payload: { room: 'kept', since: cursor } })
  expect(since.payload).toMatchObject({ recovered: true, replayed: 3 })
  expect(await counted(alice)).toEqual({ history: [1, 2, 3], live: [] })
  // Nobody hears of it.
  expect((await bob.received()).filter(({ type }) => type === 'user_joined_room')).toHaveLength(1)
})

test('history of a member that joins again meets what is live without a hole and without a double', async () => {
  await using server = await startTestServer({ config: KEEPS })
  await using bob = await server.connect({ user: 'bob', rooms: ['kept'] })
  for (let n = 0; n < 999; n++) bob.send({ type: 'count', to: { room: 'kept' }, payload: n })
  await publish(bob, 999)
  await using alice = await server.connect({ user: 'alice', rooms: ['kept'] })
  let n = 1000
  const joined = alice.request({ type: 'join_room', payload: { room: 'kept', since: '1' } })
  let under = true
  void joined.then(() => {
    under = false
  })
  while (under) await publish(bob, n++)
  await publish(bob, n++)
  const { history, live } = await counted(alice)
  expect([...history, ...live]).toEqual(Array.from({ length: n }, (_, at) => at))
  expect(history.length).toBeGreaterThanOrEqual(1000)
})
