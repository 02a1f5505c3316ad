import { describe, expect, test } from 'bun:test'
import type { Frame, TestClient } from '../../../src/testing/index.ts'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'
import { join, leave } from './rooms.ts'

export function presenceTests({ connect }: Place): void {
  describe('presence', () => {
    test.concurrent('is of users, not of devices', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      await using phone = await connect({ user: alice, device: 'phone', rooms: [lobby] })
      const laptop = await connect({ user: alice, device: 'laptop', rooms: [lobby] })
      expect(payloadOf(laptop.welcome)['rooms']).toMatchObject([{ participant_count: 2 }])
      expect(types(await watcher.received())).toEqual(['user_joined_room'])
      await leave(phone, lobby)
      expect(await watcher.received()).toEqual([])
      await laptop.close()
      expect(await watcher.next()).toMatchObject({
        type: 'user_left_room',
        payload: { user: { id: alice }, participant_count: 1, message: `${alice} left` },
      })
    })

    test.concurrent('of the user’s own other device is told to that device by nothing but messages', async () => {
      const { alice, lobby } = names()
      await using phone = await connect({ user: alice, device: 'phone', rooms: [lobby] })
      await using laptop = await connect({ user: alice, device: 'laptop', rooms: [lobby] })
      await leave(laptop, lobby)
      expect(await phone.received()).toEqual([])
    })

    test.concurrent('above its limit is gathered into at most one frame a second, with everybody in it', async () => {
      const { alice, lobby } = names()
      await using watcher = await connect({ user: alice, rooms: [lobby] })
      const crowd: TestClient[] = []
      for (const n of [1, 2, 3, 4, 5, 6]) {
        crowd.push(await connect({ user: `${alice}.${n}`, name: `N${n}`, rooms: [lobby] }))
      }
      // Up to four at once, the rest gathered.
      for (const n of [1, 2, 3]) {
        expect(await watcher.next()).toMatchObject({
          type: 'user_joined_room',
          payload: { user: { id: `${alice}.${n}` }, participant_count: n + 1 },
        })
      }
      expect(await watcher.next()).toEqual({
        type: 'presence',
        payload: {
          room_id: lobby,
          participant_count: 7,
          joined: [4, 5, 6].map((n) => ({ id: `${alice}.${n}`, username: `N${n}` })),
        },
        room: lobby,
        timestamp: expect.any(Number),
      })
      await crowd[5]?.close()
      await crowd[4]?.close()
      const gone = (await watcher.next()) satisfies Frame
      expect(gone).toMatchObject({
        type: 'presence',
        payload: { participant_count: 5 },
      })
      const left = payloadOf(gone)['left'] as { id: string }[]
      expect(left.map(({ id }) => id).sort()).toEqual([`${alice}.5`, `${alice}.6`])
      expect(gone.payload).not.toHaveProperty('joined')
      await Promise.all(crowd.map((client) => client.close()))
    })

    test.concurrent('is off where the rule says so', async () => {
      const { alice, bob, room } = names()
      await using watcher = await connect({ user: bob, rooms: [room('quiet')] })
      await using client = await connect({ user: alice })
      await join(client, room('quiet'))
      await leave(client, room('quiet'))
      expect(await watcher.received()).toEqual([])
    })

    test.concurrent('is a count where the rule says so', async () => {
      const { alice, bob, room } = names()
      await using watcher = await connect({ user: bob, rooms: [room('count')] })
      await using client = await connect({ user: alice })
      await join(client, room('count'))
      const frame = await watcher.next()
      expect([frame.type, frame.payload]).toEqual(['presence', { room_id: room('count'), participant_count: 2 }])
    })
  })
}
