import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask, told } from './api.ts'

/** More than are ended in one turn of the event loop. */
const MANY = 250

test('a crowd is ended to the last, while others are still answered', async () => {
  await using server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] }, limits: { per_user: 0 } } })
  const clients = await Promise.all(
    Array.from({ length: MANY }, (_, i) => server.connect({ user: 'alice', device: `d${i}`, rooms: ['lobby'] })),
  )
  await using bob = await server.connect({ user: 'bob', rooms: ['lobby'] })
  const ending = told(server.url, 'POST', '/realtime/users/alice/disconnect')
  expect((await bob.request({ type: 'ping' })).type).toBe('pong')
  expect(await ending).toEqual({ status: 200, body: { disconnected: MANY } })
  const closes = await Promise.all(clients.map(({ closed }) => closed))
  expect(closes.every(({ code }) => code === 4003)).toBe(true)
  expect(server.hub.registry.size).toBe(1)
  expect((await bob.next('user_left_room')).payload).toMatchObject({ participant_count: 1, user: { id: 'alice' } })
})

test('a page has 50 connections unless more are asked for', async () => {
  await using server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] }, limits: { per_user: 0 } } })
  const clients = await Promise.all(Array.from({ length: MANY }, () => server.connect({ user: 'alice' })))
  const page = (await ask(server.url, 'GET', '/realtime/connections?limit=1000')).body as {
    items: object[]
    next: null
  }
  expect({ items: page.items.length, next: page.next }).toEqual({ items: MANY, next: null })
  const first = (await ask(server.url, 'GET', '/realtime/connections')).body as { items: object[]; next: string }
  expect({ items: first.items.length, next: typeof first.next }).toEqual({ items: 50, next: 'string' })
  await Promise.all(clients.map((client) => client.close()))
})
