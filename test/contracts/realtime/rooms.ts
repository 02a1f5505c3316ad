import { describe, expect, test } from 'bun:test'
import type { TestClient } from '../../../src/testing/index.ts'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

const CURSOR = expect.stringMatching(/^\d{16}$/)

export const join = (client: TestClient, room: string) => client.request({ type: 'join_room', payload: { room } })
export const leave = (client: TestClient, room: string) => client.request({ type: 'leave_room', payload: { room } })

export function roomTests({ connect }: Place): void {
  describe('joining', () => {
    test.concurrent('is acknowledged with who is there, and the others hear of it once', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      await using client = await connect({ user: alice, name: 'Alice' })
      expect(await client.request({ type: 'join_room', id: 'j', payload: { room: lobby } })).toEqual({
        type: 'ack',
        payload: { room: lobby, participant_count: 2, cursor: CURSOR, recoverable: false },
        timestamp: expect.any(Number),
        correlation_id: 'j',
      })
      expect(await watcher.received()).toEqual([
        {
          type: 'user_joined_room',
          payload: {
            user: { id: alice, username: 'Alice' },
            room_id: lobby,
            participant_count: 2,
            message: 'Alice joined',
          },
          room: lobby,
          timestamp: expect.any(Number),
        },
      ])
      expect(await client.received()).toEqual([])
    })

    test.concurrent('again is acknowledged and tells nobody', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      await using client = await connect({ user: alice, rooms: [lobby] })
      await watcher.next('user_joined_room')
      expect((await join(client, lobby)).payload).toMatchObject({ participant_count: 2 })
      expect(await watcher.received()).toEqual([])
      await watcher.request({ type: 'chat', to: { room: lobby } })
      expect(types(await client.received())).toEqual(['chat'])
    })

    test.concurrent('takes room_id for room', async () => {
      const { alice, lobby } = names()
      await using client = await connect({ user: alice })
      const ack = await client.request({ type: 'join_room', payload: { room_id: lobby } })
      expect(ack.payload).toMatchObject({ room: lobby })
    })

    test.concurrent('ends at the limit of rooms with RT_007, until one is left', async () => {
      const { alice, room } = names()
      await using client = await connect({ user: alice })
      for (const n of [1, 2, 3, 4, 5]) expect((await join(client, room(`r${n}`))).type).toBe('ack')
      expect((await join(client, room('r6'))).payload).toEqual({
        code: 'RT_007',
        error_code: 'room_limit',
        message: 'Max rooms exceeded: 5 of 5',
        reconnect: true,
        details: { max_rooms: 5 },
      })
      await leave(client, room('r1'))
      expect((await join(client, room('r6'))).type).toBe('ack')
    })

    test.concurrent('a room of an exclusive group leaves the other one', async () => {
      const { alice, bob, room } = names()
      const [first, second, other] = [room('protocol:a'), room('protocol:b'), room('elsewhere')]
      await using watcher = await connect({ user: bob, rooms: [first] })
      await using client = await connect({ user: alice, rooms: [other, first] })
      await watcher.next('user_joined_room')
      await join(client, second)
      expect(await watcher.next()).toMatchObject({ type: 'user_left_room', payload: { user: { id: alice } } })
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [other, second] })
      await join(client, second)
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [other, second] })
    })

    test.concurrent('a room that refuses leaves the exclusive group as it was', async () => {
      const { alice, room } = names()
      await using client = await connect({ user: alice, allowedRooms: ['protocol:a*'], rooms: [room('protocol:a')] })
      expect((await join(client, room('protocol:b'))).type).toBe('error')
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [room('protocol:a')] })
    })
  })

  describe('leaving', () => {
    test.concurrent('tells the others, and nothing of the room comes any more', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      await using client = await connect({ user: alice, name: 'Alice', rooms: [lobby] })
      await watcher.next('user_joined_room')
      expect((await leave(client, lobby)).payload).toEqual({})
      expect(await watcher.next()).toEqual({
        type: 'user_left_room',
        payload: {
          user: { id: alice, username: 'Alice' },
          room_id: lobby,
          participant_count: 1,
          message: 'Alice left',
        },
        room: lobby,
        timestamp: expect.any(Number),
      })
      expect(await watcher.received()).toEqual([])
      await watcher.request({ type: 'chat', to: { room: lobby } })
      expect(await client.received()).toEqual([])
      expect((await client.request({ type: 'chat', to: { room: lobby } })).payload).toMatchObject({ code: 'RT_003' })
    })

    test.concurrent('without a name leaves all rooms', async () => {
      const { alice, bob, lobby, hall } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby, hall] })
      await using client = await connect({ user: alice, rooms: [lobby, hall] })
      await client.request({ type: 'leave_room' })
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [] })
      for (const room of [lobby, hall]) expect(await watcher.next('user_left_room')).toMatchObject({ room })
    })

    test.concurrent('a room that was not joined is acknowledged and tells nobody', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      await using client = await connect({ user: alice })
      expect((await leave(client, lobby)).type).toBe('ack')
      expect(await watcher.received()).toEqual([])
    })
  })

  describe('a room rule', () => {
    test.concurrent('lets only members publish where it says nothing else', async () => {
      const { alice, bob, lobby, room } = names()
      await using member = await connect({ user: bob, rooms: [lobby, room('open')] })
      await using stranger = await connect({ user: alice })
      expect((await stranger.request({ type: 'chat', to: { room: lobby } })).payload).toEqual({
        code: 'RT_003',
        error_code: 'forbidden',
        message: 'Not allowed to publish to this room',
        reconnect: false,
      })
      const ack = await stranger.request({ type: 'chat', to: { room: room('open') } })
      expect(ack.payload).toMatchObject({ online: 1 })
      expect((await member.received()).map(({ room }) => room)).toEqual([room('open')])
    })

    test.concurrent('asks for a role, in general or in this room; the admin may do everything', async () => {
      const { alice, bob, carol, dave, room } = names()
      const staff = room('staff')
      await using nobody = await connect({ user: alice })
      await using general = await connect({ user: bob, roles: ['staff'] })
      await using here = await connect({ user: carol, roomRoles: { [staff]: 'staff', other: 'speaker' } })
      await using admin = await connect({ user: dave, roles: ['admin'] })
      const answers = []
      for (const client of [nobody, general, here, admin]) {
        const joined = (await join(client, staff)).type
        const published = (await client.request({ type: 'chat', to: { room: staff } })).type
        const state = await client.request({ type: 'get_room_state', payload: { room: staff } })
        answers.push([joined, published, state.type])
      }
      expect(answers).toEqual([
        ['error', 'error', 'error'],
        ['ack', 'error', 'error'],
        ['ack', 'error', 'error'],
        ['ack', 'ack', 'ack'],
      ])
    })

    test.concurrent('and a claim of rooms must both allow', async () => {
      const { alice, bob, room, lobby } = names()
      await using claiming = await connect({ user: alice, allowedRooms: ['claimed:*', 'closed:*'] })
      await using bare = await connect({ user: bob })
      const answers = []
      for (const client of [claiming, bare]) {
        const rooms = [room('claimed'), room('closed'), lobby]
        answers.push(await Promise.all(rooms.map(async (name) => (await join(client, name)).type)))
      }
      expect(answers).toEqual([
        ['ack', 'error', 'error'],
        ['error', 'error', 'ack'],
      ])
    })
  })

  describe('a room', () => {
    test.concurrent('describes itself to its members', async () => {
      const { alice, bob, carol, lobby } = names()
      await using client = await connect({ user: alice, name: 'Alice', rooms: [lobby] })
      await using other = await connect({ user: bob, rooms: [lobby] })
      await using stranger = await connect({ user: carol })
      const expected = {
        room: lobby,
        participants: [
          { id: alice, username: 'Alice' },
          { id: bob, username: null },
        ],
        participant_count: 2,
        state: {},
        version: 0,
        cursor: CURSOR,
      }
      expect((await client.request({ type: 'get_room_state' })).payload).toEqual(expected)
      const named = await other.request({ type: 'get_room_state', payload: { room: lobby } })
      expect(named.payload).toEqual(expected)
      const refused = await stranger.request({ type: 'get_room_state', payload: { room: lobby } })
      expect(payloadOf(refused)['error_code']).toBe('forbidden')
    })

    test.concurrent('has to be named where several are joined', async () => {
      const { alice, lobby, hall } = names()
      await using client = await connect({ user: alice, rooms: [lobby, hall] })
      expect((await client.request({ type: 'get_room_state' })).payload).toMatchObject({
        error_code: 'invalid_message',
        message: 'Several rooms are joined: name one',
        details: { field: 'room' },
      })
    })
  })
}
