import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestClient, type TestServer } from '../../src/testing/index.ts'
import { payloadOf, types } from '../support/payload.ts'
import { hasFreeSeat } from '../support/seats.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const idOf = (client: TestClient) => String(payloadOf(client.welcome)['connection_id'])

/** Ends a connection as a network does. */
function lose(server: TestServer, client: TestClient): void {
  const session = server.hub.registry.get(idOf(client))
  if (session === undefined) throw new Error('there is no such connection')
  server.hub.close(session, 1011, 'lost')
}

async function room(graceMs: number) {
  const server = await startTestServer({ config: { presence: { grace_ms: graceMs } } })
  const watcher = await server.connect({ user: 'bob', rooms: ['lobby'] })
  const alice = (device = 'd', query = {}) => server.connect({ user: 'alice', device, rooms: ['lobby'], query })
  const client = await alice()
  await watcher.next('user_joined_room')
  return { server, watcher, alice, client, [Symbol.asyncDispose]: () => server.stop() }
}

describe('a user whose connection is lost', () => {
  test.concurrent('stays for the others where it comes back in time', async () => {
    await using place = await room(60_000)
    const { server, watcher, alice, client } = place
    lose(server, client)
    const state = await watcher.request({ type: 'get_room_state', payload: { room: 'lobby' } })
    expect(state.payload).toMatchObject({ participant_count: 2 })
    const again = await alice()
    expect(payloadOf(again.welcome)['rooms']).toMatchObject([{ participant_count: 2 }])
    expect(types(await watcher.received())).toEqual([])
    // It is there once: when it goes, nobody is left.
    await again.close()
    expect((await watcher.next()).type).toBe('user_left_room')
  })

  test.concurrent('receives nothing and counts as nobody’s connection meanwhile', async () => {
    await using place = await room(60_000)
    const { server, watcher, client } = place
    lose(server, client)
    const ack = await watcher.request({ type: 'chat', to: { room: 'lobby' } })
    expect(ack.payload).toMatchObject({ online: 0 })
    expect(server.hub.registry.byUser.count('alice')).toBe(0)
    expect(await hasFreeSeat(server.hub, 'alice')).toBe(true)
  })

  test.concurrent('leaves when its time is over', async () => {
    await using place = await room(200)
    const { server, watcher, client } = place
    lose(server, client)
    expect(await watcher.next()).toMatchObject({ type: 'user_left_room', payload: { participant_count: 1 } })
    await until(() => server.hub.rooms.get('lobby')?.members.size === 1)
  })

  test.concurrent('leaves at once where nothing is set, and where it says goodbye', async () => {
    await using plain = await room(0)
    lose(plain.server, plain.client)
    expect((await plain.watcher.next()).type).toBe('user_left_room')
    await using patient = await room(60_000)
    await patient.client.close()
    expect((await patient.watcher.next()).type).toBe('user_left_room')
  })

  test.concurrent('stays with another device that has come', async () => {
    await using place = await room(300)
    const { server, watcher, alice, client } = place
    lose(server, client)
    const phone = await alice('phone')
    await until(() => [...(server.hub.rooms.get('lobby')?.members.get('alice') ?? [])].length === 1)
    expect(types(await watcher.received())).toEqual([])
    await phone.close()
    expect((await watcher.next()).type).toBe('user_left_room')
  })
})

test('whoever takes its connection over is never gone for the others', async () => {
  await using place = await room(0)
  const { watcher, alice, client } = place
  const again = await alice('d', { resume: idOf(client) })
  expect((await client.closed).code).toBe(4009)
  expect(payloadOf(again.welcome)).toMatchObject({ resume: { session: true }, rooms: [{ participant_count: 2 }] })
  expect(types(await watcher.received())).toEqual([])
  await again.close()
  expect((await watcher.next()).type).toBe('user_left_room')
})
