import { describe, expect, test } from 'bun:test'
import { BUILT_IN_TYPES, SERVER_TYPES } from '../../../src/protocol/frames.ts'
import { names } from '../../support/names.ts'
import { types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

export function refusedFrameTests({ connect, host }: Place): void {
  describe('a frame that is refused', () => {
    test.concurrent('is answered with its id and the field that is wrong, and the connection stays', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      const cases: [frame: Record<string, unknown>, field: string][] = [
        [{ id: 'x' }, 'type'],
        [{ type: '', id: 'x' }, 'type'],
        [{ type: 'a b', id: 'x' }, 'type'],
        [{ type: 'a'.repeat(65), id: 'x' }, 'type'],
        [{ type: 17, id: 'x' }, 'type'],
        [{ type: 'chat', id: 'x', ephemeral: 'yes' }, 'ephemeral'],
        [{ type: 'chat', id: 'x', to: 'some' }, 'to'],
        [{ type: 'chat', id: 'x', to: {} }, 'to'],
        [{ type: 'chat', id: 'x', to: { room: 'no spaces' } }, 'to.room'],
        [{ type: 'chat', id: 'x', to: { room: 'r'.repeat(129) } }, 'to.room'],
        [{ type: 'chat', id: 'x', to: { room: ['lobby'] } }, 'to.room'],
        [{ type: 'chat', id: 'x', to: { user_id: '' } }, 'to.user_id'],
        [{ type: 'chat', id: 'x', to: { user_id: 'u'.repeat(257) } }, 'to.user_id'],
        [{ type: 'chat', id: 'x', to: { user_id: { a: 1 } } }, 'to.user_id'],
        [{ type: 'chat', id: 'x', to: { device_id: 'tab\t' } }, 'to.device_id'],
        [{ type: 'chat', id: 'x', recipient_user_id: '' }, 'recipient_user_id'],
        [{ type: 'chat', id: 'x', recipient_device_id: '\u0000' }, 'recipient_device_id'],
        [{ type: 'join_room', id: 'x' }, 'room'],
        [{ type: 'join_room', id: 'x', payload: { room: 'a/b' } }, 'room'],
        [{ type: 'leave_room', id: 'x', payload: { room: 1 } }, 'room'],
        [{ type: 'get_room_state', id: 'x' }, 'room'],
        [{ type: 'set_room_state', id: 'x', payload: { patch: 1 } }, 'patch'],
        [{ type: 'set_room_state', id: 'x', payload: { patch: {}, if_version: -1 } }, 'if_version'],
        [{ type: 'resume', id: 'x', payload: { cursor: 'soon' } }, 'cursor'],
        [{ type: 'ack', id: 'x', payload: {} }, 'payload'],
      ]
      for (const [frame, field] of cases) {
        expect([frame, await client.request(frame as never)]).toEqual([
          frame,
          {
            type: 'error',
            payload: {
              code: 'RT_004',
              error_code: 'invalid_message',
              message: expect.any(String),
              reconnect: false,
              details: { field },
            },
            timestamp: expect.any(Number),
            correlation_id: 'x',
          },
        ])
      }
    })

    test.concurrent('gets a made correlation id where its own is none, and that id is in the log', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      for (const id of [17, '', 'i'.repeat(65), {}]) {
        client.send({ type: 'chat', id })
        const error = await client.next('error')
        expect(error).toMatchObject({ payload: { details: { field: 'id' } } })
        expect(error.correlation_id).toMatch(/^e-/)
        const line = await host().logged('frame_refused', { correlation_id: error.correlation_id })
        expect(line).toMatchObject({ user_id: alice, error_code: 'invalid_message' })
      }
    })

    test.concurrent('of a type that nobody handles is RT_005', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      for (const type of ['nobody', 'constructor', '__proto__', 'hasOwnProperty', 'welcome', 'toString']) {
        expect((await client.request({ type })).payload).toEqual({
          code: 'RT_005',
          error_code: 'unknown_type',
          message: 'No handler for this type',
          reconnect: false,
        })
      }
    })

    test.concurrent('for carrying one of the protocol’s own types to others is RT_003', async () => {
      const { alice, bob } = names()
      await using sender = await connect({ user: alice, roles: ['admin'] })
      await using receiver = await connect({ user: bob })
      for (const type of [...BUILT_IN_TYPES, ...SERVER_TYPES]) {
        const answer = await sender.request({ type, to: { user_id: bob }, payload: { code: 'RT_002' } })
        expect([type, answer.payload]).toMatchObject([type, { code: 'RT_003', error_code: 'forbidden' }])
      }
      expect(types(await receiver.received())).toEqual([])
    })

    test.concurrent('for its depth or its keys is RT_004 and names the limit', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      let deep: unknown = 1
      for (let level = 0; level < 32; level++) deep = [deep]
      const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, n]))
      for (const [payload, details] of [
        [deep, { field: 'frame', max_depth: 32 }],
        [wide, { field: 'frame', max_keys: 1000 }],
      ]) {
        client.send({ type: 'echo', payload })
        expect(await client.next()).toMatchObject({ type: 'error', payload: { code: 'RT_004', details } })
      }
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })

    test.concurrent('tells in under 256 bytes, besides its details, what is wrong, and echoes nothing of it', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      const canary = 'canary'.repeat(10)
      for (const frame of [
        { type: canary, id: 'x' },
        { type: `${canary}!`, id: 'x' },
        { type: 'chat', to: { room: `${canary} ` }, id: 'x' },
        { type: 'chat', to: { [canary]: canary }, id: 'x' },
        { type: 'slow_echo', payload: { n: canary, ms: canary }, id: 'x' },
        { type: 'refresh_token', payload: { token: canary }, id: 'x' },
      ]) {
        const { payload, ...rest } = await client.request(frame)
        expect(JSON.stringify(payload)).not.toContain('canary')
        const { details, ...error } = payload as { details: unknown }
        expect(JSON.stringify({ ...rest, payload: error }).length).toBeLessThan(256)
      }
    })
  })
}
