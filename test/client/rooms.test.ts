import { describe, expect, test } from 'bun:test'
import { settle } from './fakes.ts'
import { setUp } from './set-up.ts'

const FORBIDDEN = { code: 'RT_003', error_code: 'forbidden', message: 'no', reconnect: false }

function chat(cursor: string, more: object = {}): object {
  return { type: 'chat', id: `id-${cursor}`, cursor, room: 'lobby', payload: {}, ...more }
}

async function inLobby(join: { since?: string; history?: number } = {}) {
  const context = setUp()
  const heard: string[] = []
  context.client
    .room('lobby')
    .on('chat', (_, { cursor, history }) => heard.push(`${cursor}${history ? ' history' : ''}`))
  await context.open({ cursor: '100' })
  const joined = context.client.room('lobby').join(join)
  await settle()
  /** Acknowledges the join under way. */
  const ack = async (more: object = {}): Promise<void> => {
    context.runtime.socket.ack('join_room', { room: 'lobby', participant_count: 2, recoverable: true, ...more })
    await settle()
  }
  return { ...context, heard, joined, ack }
}

describe('joining', () => {
  test('resolves with what the server says of the room', async () => {
    const { client, joined, ack } = await inLobby()
    await ack({ cursor: '105' })
    expect(await joined).toEqual({ participantCount: 2, replayed: 0 })
    expect(client.room('lobby').participantCount).toBe(2)
  })

  test('brings history first, in order, and then what is live', async () => {
    const { runtime, heard, joined, ack } = await inLobby({ history: 2 })
    expect(runtime.socket.last('join_room')).toMatchObject({ payload: { room: 'lobby', history: 2 } })
    runtime.socket.say(chat('95', { history: true }), chat('98', { history: true }))
    await ack({ cursor: '105', replayed: 2 })
    runtime.socket.say(chat('106'))
    expect(heard).toEqual(['95 history', '98 history', '106'])
    expect(await joined).toEqual({ participantCount: 2, replayed: 2 })
  })

  test('holds what is live back until the history before it has come', async () => {
    const { runtime, heard, ack } = await inLobby({ since: '90' })
    runtime.socket.say(chat('106'), chat('95', { history: true }))
    expect(heard).toEqual(['95 history'])
    await ack({ cursor: '105', recovered: true, replayed: 1 })
    expect(heard).toEqual(['95 history', '106'])
  })

  test('that is refused rejects, and is not tried again', async () => {
    const { runtime, client, joined, reconnect } = await inLobby()
    runtime.socket.refuse('join_room', FORBIDDEN)
    expect(await joined.catch((error) => error)).toMatchObject({ reason: 'forbidden', code: 'RT_003' })
    await reconnect()
    runtime.socket.welcome()
    await settle()
    expect(runtime.socket.sent).toEqual([])
    expect(client.room('lobby').participantCount).toBeUndefined()
  })

  test('again is done already, but for a history that was asked for', async () => {
    const { runtime, client, ack } = await inLobby()
    await ack()
    expect(await client.room('lobby').join()).toEqual({ participantCount: 2, replayed: 0 })
    expect(runtime.socket.sent).toHaveLength(1)
    void client.room('lobby').join({ history: 5 })
    await settle()
    expect(runtime.socket.sent).toHaveLength(2)
  })

  test('waits for a connection', async () => {
    const { runtime, client, open } = setUp()
    const joined = client.join('lobby')
    await open()
    runtime.socket.ack('join_room', { room: 'lobby', participant_count: 1 })
    expect((await joined).name).toBe('lobby')
  })

  test('the count follows what the server says', async () => {
    const { runtime, client, ack } = await inLobby()
    await ack()
    runtime.socket.say({
      type: 'user_joined_room',
      payload: { user: { id: 'x' }, room_id: 'lobby', participant_count: 3 },
    })
    expect(client.room('lobby').participantCount).toBe(3)
    runtime.socket.say({ type: 'presence', payload: { room_id: 'lobby', participant_count: 5000 } })
    expect(client.room('lobby').participantCount).toBe(5000)
  })
})

describe('after a lost connection', () => {
  test('the room is named at the door, and nothing more is needed where it is in the welcome', async () => {
    const { runtime, heard, ack, reconnect } = await inLobby()
    await ack({ cursor: '105' })
    runtime.socket.say(chat('106'))
    await reconnect()
    const { searchParams } = runtime.socket.url
    expect([searchParams.get('rooms'), searchParams.get('cursor')]).toEqual(['lobby', '106'])
    runtime.socket.welcome({ cursor: '106', rooms: [{ room: 'lobby', participant_count: 7 }] })
    runtime.socket.say(chat('107'))
    await settle()
    expect(runtime.socket.sent).toEqual([])
    expect(heard).toEqual(['106', '107'])
  })

  test('a room that is not in the welcome is joined from where it was lost', async () => {
    const { runtime, heard, ack, reconnect } = await inLobby()
    await ack({ cursor: '105' })
    runtime.socket.say(chat('106'))
    await reconnect()
    runtime.socket.welcome({ cursor: '106' })
    await settle()
    expect(runtime.socket.last('join_room')).toMatchObject({ payload: { room: 'lobby', since: '106' } })
    runtime.socket.say(chat('107', { history: true }))
    await ack({ cursor: '110', recovered: true })
    expect(heard).toEqual(['106', '107 history'])
  })

  test('that hits a join again, the room goes on from the history that had come, though others moved the position', async () => {
    const { runtime, heard, ack, reconnect } = await inLobby()
    await ack({ cursor: '105' })
    await reconnect()
    runtime.socket.welcome({ cursor: '105' })
    await settle()
    runtime.socket.say(chat('106', { history: true }))
    runtime.socket.say({ type: 'note', id: 'n', cursor: '120', payload: {} })
    await reconnect()
    const { searchParams } = runtime.socket.url
    expect([searchParams.get('rooms'), searchParams.get('cursor')]).toEqual([null, '120'])
    // The server restores the room with the session, from the position: 107 to 119 of the room are not in that.
    runtime.socket.welcome({ cursor: '120', rooms: [{ room: 'lobby', participant_count: 2 }] })
    await settle()
    expect(runtime.socket.last('join_room')).toMatchObject({ payload: { room: 'lobby', since: '106' } })
    runtime.socket.say(chat('107', { history: true }), chat('121'))
    await ack({ cursor: '121', recovered: true })
    expect(heard).toEqual(['106 history', '107 history', '121'])
  })

  test('what was held back comes with the next history, once', async () => {
    const { runtime, client, heard, ack, reconnect } = await inLobby({ since: '90' })
    runtime.socket.say(chat('106'))
    expect(client.cursor).toBe('100')
    await reconnect()
    runtime.socket.welcome({ cursor: '106' })
    await settle()
    expect(runtime.socket.last('join_room')).toMatchObject({ payload: { since: '90' } })
    runtime.socket.say(chat('95', { history: true }), chat('106', { history: true }))
    await ack({ cursor: '106' })
    expect(heard).toEqual(['95 history', '106 history'])
    expect(client.cursor).toBe('106')
  })

  test('a room that could not be caught up on is a gap', async () => {
    const { runtime, client, ack, reconnect } = await inLobby()
    const gaps: unknown[] = []
    client.room('lobby').on('gap', (gap) => gaps.push(gap))
    await ack({ cursor: '105' })
    await reconnect()
    runtime.socket.welcome({ cursor: '105' })
    await settle()
    await ack({ cursor: '200', recovered: false })
    expect(gaps).toEqual([{ rooms: ['lobby'], from: '105', cursor: '200' }])
  })

  test('a room that is refused now is lost, and somebody is told', async () => {
    const { runtime, client, ack, reconnect, errors } = await inLobby()
    await ack()
    await reconnect()
    runtime.socket.welcome()
    await settle()
    runtime.socket.refuse('join_room', FORBIDDEN)
    await settle()
    expect(errors).toMatchObject([{ reason: 'forbidden' }])
    expect(client.room('lobby').participantCount).toBeUndefined()
  })

  test('names that do not fit into an address are joined one by one', async () => {
    const { runtime, client, open, reconnect } = setUp()
    await open({ cursor: '1' })
    const names = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(128, 'x'))
    for (const name of names) {
      void client.join(name)
      await settle()
      runtime.socket.ack('join_room', { room: name, participant_count: 1 })
    }
    await settle()
    await reconnect()
    const named = runtime.socket.url.searchParams.get('rooms')?.split(',') ?? []
    expect(named).toEqual(names.slice(0, 15))
    runtime.socket.welcome({ cursor: '1', rooms: named.map((room) => ({ room, participant_count: 1 })) })
    await settle()
    expect(runtime.socket.sent.map(({ payload }) => (payload as { room: string }).room)).toEqual(names.slice(15))
  })
})

describe('leaving', () => {
  test('is said to the server, and the room is not joined again', async () => {
    const { runtime, client, ack, reconnect } = await inLobby()
    await ack()
    const left = client.room('lobby').leave()
    await settle()
    runtime.socket.ack('leave_room')
    await left
    await reconnect()
    expect(runtime.socket.url.searchParams.get('rooms')).toBeNull()
    runtime.socket.welcome()
    await settle()
    expect(runtime.socket.sent).toEqual([])
  })

  test('without a connection is said on the next one, which may bring the room back with the session', async () => {
    const { runtime, client, ack } = await inLobby()
    await ack()
    runtime.socket.break()
    void client.room('lobby').leave()
    await runtime.clock.advance(500)
    expect(runtime.socket.url.searchParams.get('rooms')).toBeNull()
    runtime.socket.welcome({ rooms: [{ room: 'lobby', participant_count: 1 }] })
    await settle()
    expect(runtime.socket.last('leave_room')).toMatchObject({ payload: { room: 'lobby' } })
  })

  test('while a join is under way leaves the room that the join brings', async () => {
    const { runtime, client, joined, ack } = await inLobby()
    void client.room('lobby').leave()
    expect(await joined.catch((error) => error.reason)).toBe('closed')
    await ack()
    expect(runtime.socket.sent.at(-1)).toMatchObject({ type: 'leave_room' })
  })

  test('a room that nobody joined says nothing', async () => {
    const { runtime, client, open } = setUp()
    await open()
    await client.room('lobby').leave()
    expect(runtime.socket.sent).toEqual([])
  })
})

describe('a room', () => {
  test('has a state that is read and patched', async () => {
    const { runtime, client, ack } = await inLobby()
    await ack()
    const room = client.room('lobby')
    const state = room.state()
    await settle()
    runtime.socket.ack('get_room_state', {
      participants: [{ id: 'bob', username: null }],
      participant_count: 1,
      state: { a: 1 },
      version: 3,
    })
    const participants = [{ id: 'bob', username: null }]
    expect(await state).toEqual({ participants, participantCount: 1, state: { a: 1 }, version: 3 })
    const version = room.setState({ a: null }, 3)
    await settle()
    expect(runtime.socket.last('set_room_state')).toMatchObject({
      payload: { room: 'lobby', patch: { a: null }, if_version: 3 },
    })
    runtime.socket.ack('set_room_state', { version: 4 })
    expect(await version).toBe(4)
  })

  test('is spoken to by name', async () => {
    const { runtime, client, open } = setUp()
    await open()
    void client.room('lobby').publish('chat', { text: 'hi' }, { ephemeral: true })
    await settle()
    const { id, ...frame } = runtime.socket.last('chat')
    expect(frame).toEqual({ type: 'chat', to: { room: 'lobby' }, payload: { text: 'hi' }, ephemeral: true })
    expect(id).toMatch(/^\d+-\d+-\d+$/)
  })
})
