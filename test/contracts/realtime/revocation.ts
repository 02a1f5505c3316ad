import { describe, expect, test } from 'bun:test'
import { RefusedError, type TestClient } from '../../../src/testing/index.ts'
import { told } from '../../http/api.ts'
import { names } from '../../support/names.ts'
import { payloadOf } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

export function revocationTests({ connect, driver, host }: Place): void {
  const revoke = (body: object) => told(host().url, 'POST', '/realtime/tokens/revoke', { body })
  /** Tokens of this very second are left alone unless somebody says otherwise. */
  const soon = () => Math.floor(Date.now() / 1000) + 2
  const refusal = async (options: Parameters<Place['connect']>[0]) => {
    const outcome = await connect(options).catch((error: unknown) => error)
    if (!(outcome instanceof RefusedError)) throw new Error(`let in: ${outcome}`)
    return { error: outcome.error, closed: outcome.closed }
  }
  const REVOKED = {
    error: { code: 'RT_002', error_code: 'token_revoked', message: 'The token was revoked', reconnect: false },
    closed: { code: 4001, reason: 'token_revoked' },
  } as const

  /** A client that polls and was between two polls is not told: its next one is refused, as its token is. */
  const expectRevoked = async (client: TestClient) => {
    const closed = await client.closed
    if (driver.transport === 'poll' && closed.code === 1006) return
    expect(closed).toEqual(REVOKED.closed)
    expect(await client.next()).toMatchObject({ type: 'error', payload: REVOKED.error })
  }

  describe('a token that is revoked', () => {
    test.concurrent('ends its connection, and nothing is delivered after', async () => {
      const { alice, bob, lobby } = names()
      await using sender = await connect({ user: bob, rooms: [lobby] })
      await using client = await connect({ user: alice, rooms: [lobby] })
      await sender.next('user_joined_room')
      expect(await revoke({ user_id: alice, issued_before: soon() })).toEqual({
        status: 200,
        body: { disconnected: 1 },
      })
      const ack = await sender.request({ type: 'chat', to: { room: lobby }, payload: 'after' })
      expect(payloadOf(ack)).toMatchObject({ online: 0 })
      await expectRevoked(client)
      await expect(client.next()).rejects.toThrow('found []')
      expect(await sender.next()).toMatchObject({ type: 'user_left_room', payload: { user: { id: alice } } })
    })

    test.concurrent('opens none any more, and others of its user do', async () => {
      const { alice } = names()
      const [lost, kept] = [{ jti: `${alice}-lost` }, { jti: `${alice}-kept` }]
      await using client = await connect({ user: alice, device: 'd', claims: lost })
      await using other = await connect({ user: alice, device: 'd', claims: kept })
      expect(await revoke(lost)).toEqual({ status: 200, body: { disconnected: 1 } })
      await expectRevoked(client)
      expect(await refusal({ user: alice, device: 'd', claims: lost })).toEqual(REVOKED)
      expect((await other.request({ type: 'ping' })).type).toBe('pong')
      // What the connection had went with it: its client is not who it said it was.
      const resume = String(payloadOf(client.welcome)['connection_id'])
      await using again = await connect({ user: alice, device: 'd', claims: kept, query: { resume } })
      expect(payloadOf(again.welcome)['resume']).toMatchObject({ session: false })
    })

    test.concurrent('with those of its device leaves the other devices alone', async () => {
      const { alice, bob } = names()
      await using phone = await connect({ user: alice, device: 'phone' })
      await using laptop = await connect({ user: alice, device: 'laptop' })
      await using bobs = await connect({ user: bob, device: 'phone' })
      const body = { user_id: alice, device_id: 'phone', issued_before: soon() }
      expect(await revoke(body)).toEqual({ status: 200, body: { disconnected: 1 } })
      await expectRevoked(phone)
      expect(await refusal({ user: alice, device: 'phone' })).toEqual(REVOKED)
      // A token that names no device is not good for this one.
      expect(await refusal({ user: alice, query: { device_id: 'phone' } })).toEqual(REVOKED)
      for (const client of [laptop, bobs]) expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })

    test.concurrent('refreshes nothing, and the connection goes on under the one it has', async () => {
      const { alice } = names()
      const [first, second] = [`${alice}-1`, `${alice}-2`]
      await using client = await connect({ user: alice, device: 'd', claims: { jti: first } })
      const token = await host().token({ user: alice, device: 'd', claims: { jti: second } })
      expect(await revoke({ jti: second })).toEqual({ status: 200, body: { disconnected: 0 } })
      const refused = await client.request({ type: 'refresh_token', payload: { token } })
      expect(refused).toMatchObject({ type: 'error', payload: { error_code: 'token_revoked' } })
      const fresh = await host().token({ user: alice, device: 'd', claims: { jti: `${alice}-3` } })
      expect(await client.request({ type: 'refresh_token', payload: { token: fresh } })).toMatchObject({ type: 'ack' })
      // It is not the connection of its first token any more.
      expect(await revoke({ jti: first })).toEqual({ status: 200, body: { disconnected: 0 } })
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })
  })
}
