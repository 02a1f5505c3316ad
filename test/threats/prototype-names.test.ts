import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import app from '../contracts/app.ts'
import { types } from '../support/payload.ts'

setDefaultTimeout(20_000)

/**
 * Danger: a name such as `__proto__` that becomes a key changes every object of the process, or finds what nobody put
 * there.
 */
const NAMES = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__']

let server: TestServer
beforeAll(async () => {
  const limits = { per_user: 0, max_rooms: 0, messages_per_second: 0 }
  server = await startTestServer({ app, config: { limits, inbox: { max_messages: 0 } } })
})
afterAll(async () => {
  await server.stop()
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})

for (const format of ['json', 'msgpack'] as const) {
  describe(`names of prototypes, in ${format}`, () => {
    test('are users, devices and rooms like any other', async () => {
      for (const name of NAMES) {
        await using one = await server.connect({ user: name, device: name, name, format, rooms: [name] })
        await using other = await server.connect({ user: `other-${name}`, format, rooms: [name] })
        expect((await other.request({ type: 'x', to: { user_id: name, device_id: name } })).payload).toMatchObject({
          online: 1,
        })
        await other.request({ type: 'x', to: { room: name } })
        const state = await other.request({ type: 'get_room_state' })
        expect(state.payload).toMatchObject({ room: name, participant_count: 2 })
        expect(types(await one.received())).toEqual(['user_joined_room', 'x', 'x'])
        expect((await one.request({ type: 'leave_room', payload: { room: name } })).type).toBe('ack')
      }
    })

    test('are types that nobody handles', async () => {
      await using client = await server.connect({ user: 'types', format })
      for (const type of NAMES) expect((await client.request({ type })).payload).toMatchObject({ code: 'RT_005' })
    })

    test('are ids and idempotency keys like any other', async () => {
      await using client = await server.connect({ user: 'ids', format })
      for (const id of NAMES) {
        const ack = await client.request({ type: 'x', id, to: { user_id: 'nobody' } })
        expect(ack).toMatchObject({ type: 'ack', correlation_id: id })
      }
    })

    test('are keys of a room’s state', async () => {
      await using client = await server.connect({ user: 'state', format, rooms: [`state.${format}`] })
      await using other = await server.connect({ user: 'witness', format, rooms: [`state.${format}`] })
      const patch = JSON.parse(`{${NAMES.map((name) => `"${name}":{"polluted":{"${name}":1}}`).join()}}`)
      expect((await client.request({ type: 'set_room_state', payload: { patch } })).type).toBe('ack')
      const { payload } = await other.request({ type: 'get_room_state' })
      const { state } = payload as { state: Record<string, unknown> }
      expect(Object.keys(state).sort()).toEqual([...NAMES].sort())
      expect(Object.getPrototypeOf(state)).toBe(Object.prototype)
      const changed = await other.next('room_state_changed')
      expect(Object.keys((changed.payload as { patch: object }).patch).sort()).toEqual([...NAMES].sort())
    })

    test('are keys of a frame that mean nothing', async () => {
      await using client = await server.connect({ user: 'frames', format })
      const frames = [
        '{"type":"echo","__proto__":{"id":"forged","to":"all","payload":"forged"},"payload":1}',
        '{"type":"echo","constructor":{"prototype":{"polluted":1}},"payload":1}',
        '{"__proto__":{"type":"echo"}}',
        '{"type":"x","to":{"__proto__":{"room":"lobby"}}}',
        '{"type":"echo","payload":{"__proto__":{"polluted":1},"a":{"__proto__":2}}}',
      ]
      const answers = []
      for (const text of frames) answers.push(await client.request(JSON.parse(text)))
      expect(answers.map(({ type, payload }) => [type, (payload as { code?: string }).code])).toEqual([
        ['ack', undefined],
        ['ack', undefined],
        ['error', 'RT_004'],
        ['error', 'RT_004'],
        ['ack', undefined],
      ])
      expect(JSON.stringify(answers[4]?.payload)).toBe('{"result":{"__proto__":{"polluted":1},"a":{"__proto__":2}}}')
    })
  })
}
