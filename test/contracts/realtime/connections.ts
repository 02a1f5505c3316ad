import { describe, expect, test } from 'bun:test'
import { RefusedError } from '../../../src/testing/index.ts'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import { until } from '../../support/until.ts'
import type { Place } from '../realtime.ts'

const CURSOR = expect.stringMatching(/^\d{16}$/)

export function connectionTests({ driver, connect, host }: Place): void {
  describe('a connection', () => {
    test.concurrent('hears welcome first, which says who it is and what it has to keep to', async () => {
      const { alice, lobby } = names()
      await using client = await connect({ user: alice, device: 'laptop', rooms: [lobby] })
      expect(client.welcome).toEqual({
        type: 'welcome',
        payload: {
          connection_id: expect.stringMatching(/^[\w-]{22}$/),
          user_id: alice,
          device_id: 'laptop',
          server_time: expect.closeTo(Date.now() / 1000, -2),
          heartbeat: { interval_ms: 25_000, timeout_ms: 60_000 },
          limits: {
            max_message_bytes: 65_536,
            messages_per_second: 0,
            burst: 100,
            bytes_per_second: 0,
            max_rooms: 5,
          },
          rooms: [{ room: lobby, participant_count: 1, cursor: CURSOR }],
          cursor: CURSOR,
          resume: { session: false, recovered: false, replayed: 0, gaps: [] },
        },
        cursor: CURSOR,
        timestamp: expect.closeTo(Date.now() / 1000, -2),
      })
    })

    test.concurrent('is described by who_am_i', async () => {
      const { alice, lobby } = names()
      const meta = { plan: 'pro', nested: { level: 2 } }
      const who = { user: alice, device: 'laptop', name: 'Alice', roles: ['staff'], meta, rooms: [lobby] }
      await using client = await connect({ ...who, headers: { 'user-agent': 'test/1' } })
      const { payload } = await client.request({ type: 'who_am_i' })
      expect(payload).toEqual({
        connection_id: payloadOf(client.welcome)['connection_id'],
        user_id: alice,
        device_id: 'laptop',
        username: 'Alice',
        roles: ['staff'],
        state: 'open',
        transport: driver.transport,
        format: driver.format,
        ip: '127.0.0.1',
        user_agent: 'test/1',
        connected_at: expect.closeTo(Date.now() / 1000, -2),
        last_seen: expect.closeTo(Date.now() / 1000, -2),
        rooms: [lobby],
        metadata: meta,
        counters: { frames_in: 1, bytes_in: expect.any(Number), frames_out: 1, pending_bytes: 0 },
      })
    })

    test.concurrent('takes the user from sub, and a number for its decimal string', async () => {
      await using bySub = await connect({ user: 'ignored', claims: { user_id: undefined, sub: 4711 } })
      expect(payloadOf(bySub.welcome)['user_id']).toBe('4711')
    })

    test.concurrent('may choose its device where the token names none', async () => {
      const { alice } = names()
      await using chosen = await connect({ user: alice, query: { device_id: 'mine' } })
      await using named = await connect({ user: alice, device: 'theirs', query: { device_id: 'mine' } })
      expect([payloadOf(chosen.welcome)['device_id'], payloadOf(named.welcome)['device_id']]).toEqual([
        'mine',
        'theirs',
      ])
    })

    test.concurrent('has a device of its own where nobody names one', async () => {
      const { alice } = names()
      await using first = await connect({ user: alice })
      await using second = await connect({ user: alice })
      expect(payloadOf(first.welcome)['device_id']).not.toBe(payloadOf(second.welcome)['device_id'])
    })

    test.concurrent('joins the rooms that its address names, and hears of each that is refused', async () => {
      const { alice, lobby, hall, room } = names()
      const rooms = [lobby, room('closed'), 'not a room', hall]
      await using client = await connect({ user: alice, rooms })
      expect(payloadOf(client.welcome)['rooms']).toEqual([
        { room: lobby, participant_count: 1, cursor: CURSOR },
        { room: hall, participant_count: 1, cursor: CURSOR },
      ])
      const refused = await client.received()
      expect(refused.map(({ type, payload }) => [type, payload])).toEqual([
        [
          'error',
          {
            code: 'RT_003',
            error_code: 'forbidden',
            message: 'Not allowed to join this room',
            reconnect: false,
            details: { room: room('closed') },
          },
        ],
        // A name outside the grammar may be anything, so it is not repeated.
        ['error', expect.objectContaining({ code: 'RT_004', details: { field: 'room' } })],
      ])
    })

    test.concurrent('cannot name more rooms than it may join', async () => {
      const { alice } = names()
      const rooms = [1, 2, 3, 4, 5, 6, 7].map((n) => `${alice}.${n}`)
      await using client = await connect({ user: alice, rooms })
      expect(payloadOf(client.welcome)['rooms']).toHaveLength(5)
      const refused = await client.received()
      expect(refused.map((frame) => payloadOf(frame)['error_code'])).toEqual(['room_limit', 'room_limit'])
      const { payload } = await client.request({ type: 'who_am_i' })
      expect(payload).toMatchObject({ rooms: rooms.slice(0, 5) })
    })

    test.concurrent('cannot name two rooms of an exclusive group: it is in the last', async () => {
      const { alice, room } = names()
      const [first, second] = [room('protocol:a'), room('protocol:b')]
      await using client = await connect({ user: alice, rooms: [first, second] })
      expect(payloadOf(client.welcome)['rooms']).toMatchObject([{ room: second }])
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [second] })
    })

    test.concurrent('is answered with what it sent to ping, and with the time', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      const echo = { at: 17, list: [1, 'two', null] }
      expect(await client.request({ type: 'ping', id: 'p-1', payload: echo })).toEqual({
        type: 'pong',
        payload: { server_time: expect.closeTo(Date.now() / 1000, -2), echo, cursor: CURSOR },
        timestamp: expect.any(Number),
        correlation_id: 'p-1',
      })
      client.send({ type: 'ping' })
      const unnamed = await client.next()
      expect(unnamed).toEqual({
        type: 'pong',
        payload: { server_time: expect.any(Number), cursor: CURSOR },
        timestamp: expect.any(Number),
      })
    })

    test.concurrent('leaves nothing behind when it closes', async () => {
      const { alice, bob, lobby } = names()
      await using watcher = await connect({ user: bob, rooms: [lobby] })
      const client = await connect({ user: alice, rooms: [lobby] })
      await watcher.next('user_joined_room')
      await client.close()
      await watcher.next('user_left_room')
      const online = async () => {
        const ack = await watcher.request({ type: 'note', to: { user_id: alice }, payload: 1 })
        return payloadOf(ack)['online']
      }
      await until(async () => (await online()) === 0)
    })
  })

  describe('the door', () => {
    const refusal = async (options: Parameters<Place['connect']>[0]) => {
      const outcome = await connect(options).catch((error: unknown) => error)
      if (!(outcome instanceof RefusedError)) throw new Error(`let in: ${outcome}`)
      return { error: outcome.error, closed: outcome.closed }
    }

    test.concurrent('says in an error and in the close code why it lets nobody in without credentials', async () => {
      expect(await refusal({ user: 'x', query: { token: '' } })).toEqual({
        error: {
          code: 'RT_001',
          error_code: 'authentication_required',
          message: 'Authentication is required',
          reconnect: false,
        },
        closed: { code: 4003, reason: 'authentication_required' },
      })
    })

    test.concurrent('tells an expired token from a forged one', async () => {
      const { alice } = names()
      expect(await refusal({ user: alice, expiresIn: -1 })).toMatchObject({
        error: { code: 'RT_002' },
        closed: { code: 4001, reason: 'token_expired' },
      })
      const forged = `${(await host().token({ user: alice })).slice(0, -4)}AAAA`
      expect(await refusal({ user: alice, query: { token: forged } })).toMatchObject({
        error: { code: 'RT_002' },
        closed: { code: 4001, reason: 'invalid_token' },
      })
    })

    test.concurrent('refuses an envelope, a cursor and a device that do not exist', async () => {
      const { alice } = names()
      for (const [parameter, value] of [
        ['envelope', 'body'],
        ['cursor', '-1'],
        ['device_id', 'line\nfeed'],
      ] as const) {
        expect(await refusal({ user: alice, query: { [parameter]: value } })).toMatchObject({
          error: { error_code: 'invalid_message', details: { field: parameter } },
        })
      }
    })
  })

  describe('leaving', () => {
    test.concurrent('with any code of the application range is answered with it', async () => {
      const { alice } = names()
      const client = await connect({ user: alice })
      expect(await client.close(4321, 'bye')).toEqual({ code: 4321, reason: 'bye' })
    })

    test.concurrent('frames that were sent before are still handled', async () => {
      const { alice, bob } = names()
      await using listener = await connect({ user: bob })
      const client = await connect({ user: alice })
      for (let n = 0; n < 10; n++) client.send({ type: 'note', to: { user_id: bob }, payload: n })
      await client.close()
      const heard = []
      for (let n = 0; n < 10; n++) heard.push((await listener.next('note')).payload)
      expect(heard).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(types(await listener.received())).toEqual([])
    })
  })
}
