import { describe, expect, test } from 'bun:test'
import { names } from '../../support/names.ts'
import { types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

const TIMESTAMP = expect.closeTo(Date.now() / 1000, -3)
const ID = expect.stringMatching(/^[\w-]{9,}$/)

export function messageTests({ driver, connect }: Place): void {
  describe('a message', () => {
    test.concurrent('to a room reaches its members, and not the connection that sent it', async () => {
      const { alice, bob, carol, lobby } = names()
      await using sender = await connect({ user: alice, device: 'phone', name: 'Alice', rooms: [lobby] })
      await using second = await connect({ user: alice, device: 'laptop', rooms: [lobby] })
      await using member = await connect({ user: bob, rooms: [lobby] })
      await using stranger = await connect({ user: carol })
      await sender.next('user_joined_room')
      const ack = await sender.request({ type: 'chat', id: 'm-1', to: { room: lobby }, payload: { text: 'hi' } })
      expect(ack).toEqual({
        type: 'ack',
        payload: { id: ID, online: 2 },
        timestamp: TIMESTAMP,
        correlation_id: 'm-1',
      })
      const message = {
        type: 'chat',
        payload: { text: 'hi' },
        id: (ack.payload as { id: string }).id,
        room: lobby,
        sender: { user_id: alice, device_id: 'phone', username: 'Alice' },
        timestamp: TIMESTAMP,
      }
      expect(await member.next('chat')).toEqual(message)
      expect(await second.next('chat')).toEqual(message)
      expect(await sender.received()).toEqual([])
      expect(await stranger.received()).toEqual([])
    })

    test.concurrent('to a user reaches all of the user’s devices and nobody else', async () => {
      const { alice, bob, carol } = names()
      await using sender = await connect({ user: alice, device: 'a' })
      await using phone = await connect({ user: bob, device: 'phone' })
      await using laptop = await connect({ user: bob, device: 'laptop' })
      await using stranger = await connect({ user: carol })
      const ack = await sender.request({ type: 'chat', to: { user_id: bob }, payload: 'hi' })
      expect(ack.payload).toEqual({ id: ID, online: 2 })
      for (const device of [phone, laptop]) {
        expect(await device.received()).toEqual([
          { type: 'chat', payload: 'hi', id: ID, sender: { user_id: alice, device_id: 'a' }, timestamp: TIMESTAMP },
        ])
      }
      expect(await stranger.received()).toEqual([])
    })

    test.concurrent('to a device reaches that device alone, also where another user has one of the same name', async () => {
      const { alice, bob, carol } = names()
      await using sender = await connect({ user: alice, device: 'phone' })
      await using phone = await connect({ user: bob, device: 'phone' })
      await using laptop = await connect({ user: bob, device: 'laptop' })
      await using namesake = await connect({ user: carol, device: 'phone' })
      const to = { user_id: bob, device_id: 'phone' }
      expect((await sender.request({ type: 'chat', to, payload: 1 })).payload).toEqual({ id: ID, online: 1 })
      expect(types(await phone.received())).toEqual(['chat'])
      for (const other of [laptop, namesake, sender]) expect(await other.received()).toEqual([])
    })

    test.concurrent('to a device alone means one of the sender’s own', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice, device: 'phone' })
      await using own = await connect({ user: alice, device: 'laptop' })
      await using other = await connect({ user: bob, device: 'laptop' })
      const ack = await sender.request({ type: 'chat', to: { device_id: 'laptop' }, payload: 1 })
      expect(ack.payload).toEqual({ id: ID, online: 1 })
      expect(types(await own.received())).toEqual(['chat'])
      expect(await other.received()).toEqual([])
    })

    test.concurrent('to the sender’s own user reaches the other connections only', async () => {
      const { alice } = names()
      await using sender = await connect({ user: alice, device: 'd' })
      await using twin = await connect({ user: alice, device: 'd' })
      expect((await sender.request({ type: 'chat', to: { user_id: alice }, payload: 1 })).payload).toMatchObject({
        online: 1,
      })
      expect(types(await twin.received())).toEqual(['chat'])
      const to = { user_id: alice, device_id: 'd' }
      expect((await sender.request({ type: 'chat', to, payload: 1 })).payload).toMatchObject({ online: 1 })
      expect(types(await twin.received())).toEqual(['chat'])
      expect(await sender.received()).toEqual([])
    })

    test.concurrent('may name its recipient at the top level, and carry data in place of a payload', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice })
      await using phone = await connect({ user: bob, device: 'phone' })
      await using laptop = await connect({ user: bob, device: 'laptop' })
      await sender.request({ type: 'one', recipient_user_id: bob, data: 1 })
      await sender.request({ type: 'two', recipient_user_id: bob, recipient_device_id: 'phone', data: 2 })
      const seen = (await phone.received()).map(({ type, payload }) => [type, payload])
      expect(seen).toEqual([
        ['one', 1],
        ['two', 2],
      ])
      expect(types(await laptop.received())).toEqual(['one'])
    })

    test.concurrent('to somebody who is not there is acknowledged with nobody online', async () => {
      const { alice, bob, room } = names()
      await using sender = await connect({ user: alice })
      for (const to of [{ user_id: bob }, { user_id: bob, device_id: 'd' }, { room: room('open') }]) {
        expect((await sender.request({ type: 'chat', to, payload: 1 })).payload).toEqual({ id: ID, online: 0 })
      }
    })

    test.concurrent('carries any value, and nothing where there is none', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice })
      await using receiver = await connect({ user: bob })
      const values = [
        null,
        true,
        0,
        -1.5,
        2 ** 53 - 1,
        '',
        'ü€😀\u2028',
        [],
        {},
        [[1], { a: null }],
        { a: { b: ['c'] } },
      ]
      for (const payload of values) sender.send({ type: 'value', to: { user_id: bob }, payload })
      await sender.request({ type: 'none', to: { user_id: bob } })
      const seen = await receiver.received()
      expect(seen.slice(0, -1).map(({ payload }) => payload)).toEqual(values)
      expect(seen.at(-1)).not.toHaveProperty('payload')
    })

    test.concurrent('of bytes and between formats arrives as it was sent', async () => {
      const { alice, bob, lobby } = names()
      const format = driver.format === 'json' ? 'msgpack' : 'json'
      await using sender = await connect({ user: alice, rooms: [lobby] })
      await using same = await connect({ user: bob, rooms: [lobby] })
      await using other = await connect({ user: bob, transport: 'websocket', format, rooms: [lobby] })
      const payload = { bytes: new Uint8Array([0, 1, 254, 255]), empty: new Uint8Array(0), text: 'ü', n: 1 }
      await sender.request({ type: 'chat', to: { room: lobby }, payload })
      await other.request({ type: 'back', to: { room: lobby }, payload })
      // Bytes of either library are compared by their values, whatever subclass carries them.
      const plain = (value: unknown) => Object.entries(value as object).map(([k, v]) => [k, v?.length ? [...v] : v])
      const sent = { ...payload, bytes: payload.bytes }
      for (const client of [same, other]) {
        const chat = await client.next('chat')
        expect(plain(chat.payload)).toEqual(plain(sent))
        expect((chat.payload as typeof payload).bytes).toBeInstanceOf(Uint8Array)
      }
      expect(plain((await sender.next('back')).payload)).toEqual(plain(sent))
    })

    test.concurrent('to all needs the admin role, and then reaches everybody but its sender', async () => {
      const { alice, bob } = names()
      // A server of its own: on the shared one everybody would hear it.
      await using host = await driver.start({})
      await using admin = await host.connect({ user: alice, roles: ['admin'] })
      await using user = await host.connect({ user: bob })
      const notice = { type: 'notice', to: 'all' }
      expect((await user.request({ ...notice, payload: 1 })).payload).toMatchObject({ error_code: 'forbidden' })
      expect((await admin.request({ ...notice, payload: 2 })).payload).toEqual({ id: ID, online: 1 })
      expect((await user.received()).map(({ payload }) => payload)).toEqual([2])
      expect(await admin.received()).toEqual([])
    })

    test.concurrent('is stamped by the server: what a client says of sender, time, id and cursor reaches nobody', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice, device: 'd', name: 'Alice' })
      await using receiver = await connect({ user: bob })
      const forged = {
        sender: { user_id: 'root', device_id: 'x', username: 'Root' },
        timestamp: 1,
        cursor: '1',
        room: 'vault',
        history: true,
        correlation_id: 'c',
        ack_id: 'a',
      }
      await sender.request({ type: 'chat', id: 'mine', to: { user_id: bob }, payload: 1, ...forged })
      expect(await receiver.received()).toEqual([
        {
          type: 'chat',
          payload: 1,
          id: ID,
          sender: { user_id: alice, device_id: 'd', username: 'Alice' },
          timestamp: TIMESTAMP,
        },
      ])
    })

    test.concurrent('that was published before somebody joined is not heard by who joins', async () => {
      const { alice, bob, lobby } = names()
      await using sender = await connect({ user: alice, rooms: [lobby] })
      await using joiner = await connect({ user: bob })
      await sender.request({ type: 'before', to: { room: lobby } })
      await joiner.request({ type: 'join_room', payload: { room: lobby } })
      await sender.request({ type: 'after', to: { room: lobby } })
      expect(types(await joiner.received())).toEqual(['after'])
    })

    test.concurrent('keeps its place: everybody hears one sender’s messages in the order of sending', async () => {
      const { alice, bob, lobby } = names()
      await using sender = await connect({ user: alice, rooms: [lobby] })
      await using member = await connect({ user: bob, rooms: [lobby] })
      const count = 300
      for (let n = 0; n < count; n++) {
        sender.send({ type: 'n', to: n % 2 ? { room: lobby } : { user_id: bob }, payload: n })
      }
      const heard: unknown[] = []
      while (heard.length < count) heard.push((await member.next()).payload)
      expect(heard).toEqual([...Array(count).keys()])
    })
  })

  describe('an id', () => {
    test.concurrent('that comes again gets the first answer, and is delivered once', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice, device: 'd' })
      await using receiver = await connect({ user: bob })
      const frame = { type: 'chat', id: 'again', to: { user_id: bob }, payload: 1 }
      const first = await sender.request(frame)
      await using reconnected = await connect({ user: alice, device: 'd' })
      const second = await sender.request(frame)
      const third = await reconnected.request({ ...frame, payload: 'another' })
      expect(second.payload).toEqual(first.payload)
      expect(third.payload).toEqual(first.payload)
      expect(types(await receiver.received())).toEqual(['chat'])
    })

    test.concurrent('belongs to one device: another device’s is another message', async () => {
      const { alice, bob, carol } = names()
      await using phone = await connect({ user: alice, device: 'phone' })
      await using laptop = await connect({ user: alice, device: 'laptop' })
      await using namesake = await connect({ user: carol, device: 'phone' })
      await using receiver = await connect({ user: bob })
      const frame = { type: 'chat', id: 'same', to: { user_id: bob } }
      for (const [payload, sender] of [phone, laptop, namesake].entries()) await sender.request({ ...frame, payload })
      expect((await receiver.received()).map(({ payload }) => payload)).toEqual([0, 1, 2])
    })

    test.concurrent('whose frame was refused may be used again', async () => {
      const { alice, bob, lobby } = names()
      await using sender = await connect({ user: alice })
      await using member = await connect({ user: bob, rooms: [lobby] })
      const frame = { type: 'chat', id: 'retry', to: { room: lobby } }
      expect((await sender.request(frame)).type).toBe('error')
      await sender.request({ type: 'join_room', payload: { room: lobby } })
      expect((await sender.request(frame)).type).toBe('ack')
      await member.next('chat')
    })

    test.concurrent('is what asks for an acknowledgement: without one there is none', async () => {
      const { alice, bob, lobby } = names()
      await using sender = await connect({ user: alice, rooms: [lobby] })
      sender.send({ type: 'chat', to: { user_id: bob }, payload: 1 })
      sender.send({ type: 'echo', payload: 1 })
      sender.send({ type: 'get_room_state' })
      expect(await sender.received()).toEqual([])
    })
  })
}
