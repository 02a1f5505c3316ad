import { describe, expect, test } from 'bun:test'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

export function expiryTests({ connect, host }: Place): void {
  describe('the end of a token', () => {
    test.concurrent('is announced right after welcome where little is left, and then ends the connection', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice, expiresIn: 3 })
      const warning = await client.next()
      expect(warning).toMatchObject({ type: 'token_expiring' })
      expect(payloadOf(warning)['expires_in_ms']).toBeWithin(0, 3001)
      expect(await client.next('error')).toMatchObject({
        payload: { code: 'RT_002', error_code: 'token_expired', reconnect: false },
      })
      expect(await client.closed).toEqual({ code: 4001, reason: 'token_expired' })
    })

    test.concurrent('is moved by a fresh token, and the connection goes on past the old one', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice, device: 'd', expiresIn: 3 })
      const token = await host().token({ user: alice, device: 'd', expiresIn: 300 })
      const ack = await client.request({ type: 'refresh_token', payload: { token } })
      expect(ack).toMatchObject({ type: 'ack' })
      expect(payloadOf(ack)['expires_at']).toBeCloseTo(Date.now() / 1000 + 300, -1)
      // Another one, of the same length of life and not refreshed, has been closed: so the time has passed here too.
      await using other = await connect({ user: alice, expiresIn: 3 })
      await other.closed
      expect(types(await client.received())).toEqual(['token_expiring'])
    })
  })

  describe('refresh_token', () => {
    test.concurrent('of another user, of another device, or none at all changes nothing', async () => {
      const { alice, bob } = names()
      await using client = await connect({ user: alice, device: 'd' })
      const refresh = (token: unknown) => client.request({ type: 'refresh_token', payload: { token } })
      expect((await refresh(await host().token({ user: bob }))).payload).toMatchObject({ error_code: 'forbidden' })
      expect((await refresh(await host().token({ user: alice, device: 'e' }))).payload).toMatchObject({
        error_code: 'forbidden',
      })
      expect((await refresh(await host().token({ user: alice, expiresIn: -1 }))).payload).toMatchObject({
        error_code: 'token_expired',
      })
      expect((await refresh('nonsense')).payload).toMatchObject({ error_code: 'invalid_token' })
      expect((await refresh(17)).payload).toMatchObject({ error_code: 'invalid_message', details: { field: 'token' } })
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })

    test.concurrent('takes the client out of rooms that the new token does not allow, and says which', async () => {
      const { alice, bob, room, lobby } = names()
      await using watcher = await connect({ user: bob, roles: ['staff'], rooms: [room('staff')] })
      await using client = await connect({ user: alice, roles: ['staff'], rooms: [room('staff'), lobby] })
      await watcher.next('user_joined_room')
      const token = await host().token({ user: alice })
      expect(await client.request({ type: 'refresh_token', payload: { token } })).toMatchObject({ type: 'ack' })
      expect(await client.next()).toMatchObject({
        type: 'error',
        payload: { error_code: 'forbidden', details: { room: room('staff') } },
      })
      expect(await watcher.next()).toMatchObject({ type: 'user_left_room', payload: { user: { id: alice } } })
      expect((await client.request({ type: 'who_am_i' })).payload).toMatchObject({ rooms: [lobby], roles: [] })
    })
  })
}
