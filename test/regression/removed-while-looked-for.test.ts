/**
 * A busy room that keeps little removes messages all the time, also between the look at what is missing and the reading of
 * what is there. That was a hole of which nobody was told.
 */
import { expect, test } from 'bun:test'
import { type Frame, startTestServer, type TestServer } from '../../src/testing/index.ts'
import type { PollResult } from '../../src/testing/poll.ts'
import { payloadOf } from '../support/payload.ts'

const KEPT = 5
const CONFIG = { rooms: [{ pattern: '*', history: { max_messages: KEPT } }] } as const

/** Says so many things in the room. */
async function say(server: TestServer, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await server.app.publish({ room: 'busy' }, 'note', n)
}

/** Has the room say more than it keeps right after, or right before, the next call of a method. */
function meanwhile<K extends string>(
  server: TestServer,
  object: { [key in K]: (...args: never[]) => unknown },
  method: K,
  when: 'before' | 'after',
): void {
  const original = object[method]
  object[method] = (async (...args: never[]) => {
    object[method] = original
    if (when === 'before') await say(server, KEPT + 1)
    const result = await original.apply(object, args)
    if (when === 'after') await say(server, KEPT + 1)
    return result
  }) as never
}

async function fetchPoll(server: TestServer, query: Readonly<Record<string, string>>): Promise<PollResult> {
  const token = await server.token({ user: 'alice', device: 'd' })
  const address = `${server.url}/realtime/poll?${new URLSearchParams({ token, timeout: '5', ...query })}`
  return (await fetch(address)).json() as Promise<PollResult>
}

const typesOf = (frames: readonly Frame[]) => frames.map(({ type }) => type)

test.each(['poll', 'sse', 'websocket'] as const)('between the plan and the replay, over %s', async (transport) => {
  await using server = await startTestServer({ config: CONFIG })
  const before = await server.connect({ user: 'alice', device: 'd', rooms: ['busy'] })
  await before.close()
  await say(server, KEPT)
  meanwhile(server, server.hub.catchUp, 'plan', 'after')
  const query = { cursor: String(before.welcome.cursor) }
  const again = await server.connect({ user: 'alice', device: 'd', transport, rooms: ['busy'], query })
  expect(payloadOf(again.welcome)['resume']).toMatchObject({ recovered: true, gaps: [] })
  const [gap, ...notes] = [await again.next(), ...(await again.received())]
  expect(gap).toMatchObject({ type: 'gap', payload: { rooms: ['busy'], from: query.cursor } })
  expect(notes.map(({ payload }) => payload)).toEqual([1, 2, 3, 4, 5])
  await again.close()
})

test('between the look and the reading of a poll', async () => {
  await using server = await startTestServer({ config: CONFIG })
  const { connection_id, cursor } = await fetchPoll(server, { rooms: 'busy' })
  await say(server, 1)
  meanwhile(server, server.hub.backend.log, 'read', 'before')
  const { messages } = await fetchPoll(server, { connection_id, cursor })
  expect(messages[0]).toMatchObject({ type: 'gap', payload: { rooms: ['busy'], from: cursor } })
})

test('what is missing is said once, and after welcome', async () => {
  await using server = await startTestServer({ config: CONFIG })
  const { cursor } = await fetchPoll(server, { rooms: 'busy' })
  await say(server, KEPT + 1)
  meanwhile(server, server.hub.catchUp, 'plan', 'after')
  const first = await fetchPoll(server, { rooms: 'busy', cursor })
  expect(typesOf(first.messages)).toEqual(['welcome', ...Array(KEPT).fill('note')])
})

test('between the look and the reading of a history', async () => {
  await using server = await startTestServer({ config: CONFIG })
  await using client = await server.connect({ user: 'alice' })
  const since = String(client.welcome.cursor)
  await say(server, 1)
  meanwhile(server, server.hub.backend.log, 'count', 'after')
  const joined = await client.request({ type: 'join_room', payload: { room: 'busy', since } })
  expect(joined.payload).toMatchObject({ recoverable: true, recovered: false })
})
