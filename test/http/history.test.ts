import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask } from './api.ts'

const CONFIG = {
  admin: { keys: [ADMIN_KEY] },
  rooms: [{ pattern: 'kept', history: { max_messages: 10 } }],
}

interface History {
  items: { payload: unknown; cursor: string; type: string }[]
  next: string | null
}

test('a room tells what it keeps, page by page, oldest first', async () => {
  await using server = await startTestServer({ config: CONFIG })
  for (let n = 0; n < 12; n++) await server.app.publish({ room: 'kept' }, 'chat', n)
  const page = async (after: string) =>
    (await ask(server.url, 'GET', `/realtime/rooms/kept/history?limit=6&after=${after}`)).body as History
  const first = await page('0')
  expect(first.items.map(({ payload }) => payload)).toEqual([2, 3, 4, 5, 6, 7])
  expect(first.next).toBe(first.items.at(-1)?.cursor ?? '')
  const second = await page(first.next ?? '')
  expect(second.items.map(({ payload }) => payload)).toEqual([8, 9, 10, 11])
  expect(second.next).toBeNull()
})

test('the history of a room that is not known is not found, and a position that is no cursor is refused', async () => {
  await using server = await startTestServer({ config: CONFIG })
  expect((await ask(server.url, 'GET', '/realtime/rooms/nowhere/history')).status).toBe(404)
  await server.app.publish({ room: 'kept' }, 'chat', 1)
  expect((await ask(server.url, 'GET', '/realtime/rooms/kept/history?after=x')).status).toBe(400)
})
