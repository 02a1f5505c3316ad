import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { names } from '../support/names.ts'
import { types } from '../support/payload.ts'

setDefaultTimeout(20_000)

/**
 * Danger: rooms, users and devices are topics of one space. A room called like somebody's inbox, or a user whose name ends
 * in somebody's device, would hear what is not theirs.
 */
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ config: { limits: { per_user: 0, messages_per_second: 0 } } })
})
afterAll(() => server.stop())

describe('a room', () => {
  test.concurrent('cannot be called anything outside of its grammar', async () => {
    const { alice, bob } = names()
    await using mallory = await server.connect({ user: alice })
    const hostile: unknown[] = [
      `user\u0000${bob}`,
      `u:${bob}\n0`,
      `\n${bob}`,
      `u%3a${bob}`,
      `ｕ：${bob}`,
      'a'.repeat(10_240),
      '',
      ' ',
      '*',
      '#',
      '../bob',
      'all\n0',
      { toString: 'lobby' },
      ['lobby'],
      17,
      true,
      null,
    ]
    for (const room of hostile) {
      for (const frame of [
        { type: 'join_room', payload: { room } },
        { type: 'x', to: { room } },
        { type: 'get_room_state', payload: { room } },
        { type: 'set_room_state', payload: { room, patch: { a: 1 } } },
      ]) {
        expect([room, (await mallory.request(frame)).payload]).toMatchObject([room, { code: 'RT_004' }])
      }
    }
    await using byAddress = await server.connect({
      user: alice,
      rooms: hostile.filter((room) => typeof room === 'string'),
    })
    expect(byAddress.welcome.payload).toMatchObject({ rooms: [] })
  })

  test.concurrent('that is named like another topic hears nothing of it', async () => {
    const { alice, bob } = names()
    const looksLike = [
      `u:${bob}`,
      `0u:${bob}`,
      `user:${bob}`,
      `d:${bob}`,
      `r:${bob}`,
      'all',
      '0all',
      `room:${bob}`,
      bob,
    ]
    await using victim = await server.connect({ user: bob, device: 'd', rooms: ['vault'] })
    await using mallory = await server.connect({ user: alice, rooms: [...looksLike, 'r:vault', '0r:vault'] })
    await using admin = await server.connect({ user: 'admin', roles: ['admin'], rooms: ['vault'] })
    await mallory.received()
    await admin.request({ type: 'secret', to: { user_id: bob } })
    await admin.request({ type: 'secret', to: { user_id: bob, device_id: 'd' } })
    await admin.request({ type: 'secret', to: { room: 'vault' } })
    expect(await mallory.received()).toEqual([])
    expect(types(await victim.received()).filter((type) => type === 'secret')).toHaveLength(3)
  })
})

describe('a user', () => {
  // The native topic of a device is made of the user's and the device's name.
  test.concurrent('whose name and device add up to another’s hears nothing of that one', async () => {
    const { alice } = names()
    const pairs = [
      [`${alice}:x`, 'y'],
      [alice, 'x:y'],
      [alice, ':x:y'],
      [`${alice} x`, 'y'],
    ] as const
    const clients = await Promise.all(pairs.map(([user, device]) => server.connect({ user, device })))
    await using sender = await server.connect({ user: 'sender' })
    for (const [index, [user_id, device_id]] of pairs.entries()) {
      const ack = await sender.request({ type: 'for', to: { user_id, device_id }, payload: index })
      expect(ack.payload).toMatchObject({ online: 1 })
    }
    for (const [index, client] of clients.entries()) {
      expect((await client.received()).map(({ payload }) => payload)).toEqual([index])
      await client.close()
    }
  })

  test.concurrent('with a control character in the name of user or device does not exist', async () => {
    await using sender = await server.connect({ user: 'sender' })
    for (const to of [{ user_id: 'a\nb' }, { user_id: 'a', device_id: 'b\n0' }, { device_id: '\u0085' }]) {
      expect((await sender.request({ type: 'x', to })).payload).toMatchObject({ code: 'RT_004' })
    }
    const refused = await server.connect({ user: 'line\nfeed' }).catch((error) => error.error)
    expect(refused).toMatchObject({ code: 'RT_002' })
  })
})
