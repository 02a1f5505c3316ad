import { describe, expect, test } from 'bun:test'
import type { TestClient } from '../../../src/testing/index.ts'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

const set = (client: TestClient, room: string, patch: unknown, if_version?: number) =>
  client.request({ type: 'set_room_state', payload: { room, patch, ...(if_version !== undefined && { if_version }) } })

export function stateTests({ connect }: Place): void {
  describe('the state of a room', () => {
    const stateOf = async (client: TestClient, room: string) => {
      const { state, version } = payloadOf(await client.request({ type: 'get_room_state', payload: { room } }))
      return { state, version }
    }

    test.concurrent('is changed by merge patches, which the other members hear', async () => {
      const { alice, bob, lobby } = names()
      await using client = await connect({ user: alice, name: 'Alice', rooms: [lobby] })
      await using other = await connect({ user: bob, rooms: [lobby] })
      await client.next('user_joined_room')
      expect((await set(client, lobby, { track: 'a', volume: { left: 1, right: 2 } })).payload).toEqual({ version: 1 })
      expect((await set(client, lobby, { track: null, volume: { left: 3 } })).payload).toEqual({ version: 2 })
      expect(await stateOf(other, lobby)).toEqual({ state: { volume: { left: 3, right: 2 } }, version: 2 })
      const [first, second] = await other.received()
      expect(first).toEqual({
        type: 'room_state_changed',
        payload: {
          room_id: lobby,
          patch: { track: 'a', volume: { left: 1, right: 2 } },
          version: 1,
          by: { id: alice, username: 'Alice' },
        },
        room: lobby,
        timestamp: expect.any(Number),
      })
      expect(second?.payload).toMatchObject({ patch: { track: null, volume: { left: 3 } }, version: 2 })
      expect(await client.received()).toEqual([])
    })

    test.concurrent('is not changed under a version that has passed', async () => {
      const { alice, bob, lobby } = names()
      await using client = await connect({ user: alice, rooms: [lobby] })
      await using other = await connect({ user: bob, rooms: [lobby] })
      const [first, second] = await Promise.all([set(client, lobby, { by: 'a' }, 0), set(other, lobby, { by: 'b' }, 0)])
      const [won, lost] = first.type === 'ack' ? [first, second] : [second, first]
      expect(won.payload).toEqual({ version: 1 })
      expect(lost.payload).toEqual({
        code: 'RT_004',
        error_code: 'version_conflict',
        message: 'The state has version 1, not 0',
        reconnect: false,
        details: { version: 1 },
      })
      expect((await set(client, lobby, { again: true }, 1)).payload).toEqual({ version: 2 })
    })

    test.concurrent('is the members’ alone', async () => {
      const { alice, bob, lobby } = names()
      await using member = await connect({ user: alice, rooms: [lobby] })
      await using stranger = await connect({ user: bob })
      expect((await set(stranger, lobby, { a: 1 })).payload).toMatchObject({ error_code: 'forbidden' })
      expect(await stateOf(member, lobby)).toEqual({ state: {}, version: 0 })
      expect(types(await member.received())).toEqual([])
    })

    test.concurrent('takes names of prototypes as the keys they are', async () => {
      const { alice, bob, lobby } = names()
      await using client = await connect({ user: alice, rooms: [lobby] })
      await using other = await connect({ user: bob, rooms: [lobby] })
      const patch = { constructor: { prototype: { polluted: 1 } }, hasOwnProperty: 2, toString: 'three' }
      await set(client, lobby, patch)
      expect(await stateOf(other, lobby)).toEqual({ state: patch, version: 1 })
      expect(payloadOf(await other.next('room_state_changed'))['patch']).toEqual(patch)
    })

    test.concurrent('stays while the room is empty', async () => {
      const { alice, lobby } = names()
      await using client = await connect({ user: alice, rooms: [lobby] })
      await set(client, lobby, { kept: true })
      await client.request({ type: 'leave_room' })
      await client.request({ type: 'join_room', payload: { room: lobby } })
      expect(await stateOf(client, lobby)).toEqual({ state: { kept: true }, version: 1 })
    })

    test.concurrent('is bounded like a message', async () => {
      const { alice, lobby } = names()
      await using client = await connect({ user: alice, rooms: [lobby] })
      expect((await set(client, lobby, { a: 'x'.repeat(40_000) })).type).toBe('ack')
      const refused = await set(client, lobby, { b: 'x'.repeat(40_000) })
      expect(refused.payload).toMatchObject({ code: 'RT_008', error_code: 'payload_too_large' })
      expect((await stateOf(client, lobby)).version).toBe(1)
    })
  })
}
