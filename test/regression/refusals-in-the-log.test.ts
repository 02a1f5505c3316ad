import { expect, test } from 'bun:test'
import type { Frame } from '../../src/testing/client.ts'
import { RefusedError, startTestServer } from '../../src/testing/index.ts'

// Three refusals were told to clients under a correlation id that was in no log: the socket of `?close_reason=1`, a room of
// `?rooms=`, and a room that a new token does not allow. Nobody could look a user's complaint up.

test('a refusal that a socket is told of is in the log under the same id', async () => {
  await using server = await startTestServer()
  const socket = new WebSocket(`${server.url.replace(/^http/, 'ws')}/realtime?close_reason=1`)
  const { promise, resolve } = Promise.withResolvers<Frame>()
  socket.onmessage = ({ data }) => resolve(JSON.parse(data))
  const { correlation_id } = await promise
  expect(await server.logged('http_refused', { correlation_id })).toMatchObject({
    error_code: 'authentication_required',
    path: '/realtime',
  })
})

test('a room of the address that is refused is in the log under the same id', async () => {
  await using server = await startTestServer({ config: { rooms: [{ pattern: 'closed', join: 'none' }] } })
  const client = await server.connect({ user: 'alice', rooms: ['closed', 'no room'] })
  for (const error_code of ['forbidden', 'invalid_message']) {
    const { correlation_id } = await client.next('error')
    expect(await server.logged('frame_refused', { correlation_id })).toMatchObject({ error_code, user_id: 'alice' })
  }
})

test('a room that a new token does not allow is in the log under the same id', async () => {
  await using server = await startTestServer()
  const client = await server.connect({ user: 'alice', rooms: ['lobby'] })
  const token = await server.token({ user: 'alice', allowedRooms: ['elsewhere'] })
  await client.request({ type: 'refresh_token', payload: { token } })
  const { correlation_id } = await client.next('error')
  expect(await server.logged('frame_refused', { correlation_id })).toMatchObject({ error_code: 'forbidden' })
})

// The log said of every bad token that it was not valid, and of none why.
test('why a token is refused is in the log and in no answer', async () => {
  await using server = await startTestServer()
  const token = await server.token({ user: 'alice', claims: { nbf: 4_000_000_000 } })
  const refused = await server.connect({ user: 'alice', query: { token } }).catch((error: RefusedError) => error)
  expect(refused).toBeInstanceOf(RefusedError)
  expect(JSON.stringify(refused)).not.toContain('nbf')
  expect(await server.logged('http_refused', { error_code: 'invalid_token' })).toMatchObject({
    cause: 'nbf is in the future',
  })
})
