import { describe, expect, test } from 'bun:test'
import { settle } from './fakes.ts'
import { setUp } from './set-up.ts'

describe('a request', () => {
  test('resolves with what the handler returned', async () => {
    const { runtime, client, open } = setUp()
    await open()
    const answer = client.request('vote_track', { track_id: 't' })
    await settle()
    expect(runtime.socket.last('vote_track')).toMatchObject({ payload: { track_id: 't' } })
    runtime.socket.ack('vote_track', { result: { accepted: true } })
    expect(await answer).toEqual({ accepted: true })
  })

  test('rejects with what the server says', async () => {
    const { runtime, client, open } = setUp()
    await open()
    const answer = client.request('vote').catch((error) => error)
    await settle()
    const details = { field: 'payload.track_id' }
    runtime.socket.refuse('vote', {
      code: 'RT_004',
      error_code: 'invalid_message',
      message: 'no',
      reconnect: false,
      details,
    })
    expect(await answer).toMatchObject({ reason: 'invalid_message', code: 'RT_004', details })
  })

  test('waits ten seconds, the time without a connection included', async () => {
    const { runtime, client } = setUp()
    const answer = client.request('vote').catch((error) => error)
    await runtime.clock.advance(10_000)
    expect(await answer).toMatchObject({ reason: 'timeout', maybeDone: false })
  })

  test('is not sent twice, unless that is said to do no harm', async () => {
    const { runtime, client, open, reconnect } = setUp()
    await open()
    const once = client.request('vote', {}, { timeoutMs: 60_000 }).catch((error) => error)
    void client.request('look', {}, { timeoutMs: 60_000, idempotent: true })
    await settle()
    const { id } = runtime.socket.last('look')
    await reconnect()
    runtime.socket.welcome()
    expect(await once).toMatchObject({ reason: 'connection_lost', maybeDone: true })
    expect(runtime.socket.sent).toMatchObject([{ type: 'look', id }])
  })
})

describe('a message', () => {
  test('that waits for a connection keeps its place before later ones, and its id', async () => {
    const { runtime, client, open, reconnect } = setUp()
    await open()
    for (const n of [1, 2, 3]) void client.publish({ user_id: 'bob' }, 'chat', n)
    await settle()
    const ids = runtime.socket.sent.map(({ id }) => id)
    runtime.socket.say({ type: 'ack', correlation_id: ids[0], payload: { id: 'm1', online: 1 } })
    await reconnect()
    void client.publish({ user_id: 'bob' }, 'chat', 4)
    runtime.socket.welcome()
    expect(runtime.socket.sent.map(({ payload }) => payload)).toEqual([2, 3, 4])
    expect(runtime.socket.sent.map(({ id }) => id).slice(0, 2)).toEqual(ids.slice(1))
  })

  test('that is too large for the server is not sent, and ends nothing else', async () => {
    const { runtime, client, open, been } = setUp()
    await open({ limits: { max_message_bytes: 200 } })
    const large = client.publish('all', 'chat', 'é'.repeat(100)).catch((error) => error)
    expect(await large).toMatchObject({ reason: 'payload_too_large', reconnect: false })
    expect(runtime.socket.sent).toEqual([])
    expect(been()).toEqual([])
  })

  test('that the server closed for is not sent again', async () => {
    const { runtime, client, open } = setUp()
    await open()
    const large = client.publish('all', 'chat', {}).catch((error) => error)
    await settle()
    runtime.socket.break(1009)
    expect(await large).toMatchObject({ reason: 'payload_too_large' })
    await runtime.clock.advance(500)
    runtime.socket.welcome()
    expect(runtime.socket.sent).toEqual([])
  })

  test('waits while the server warns that it will throttle', async () => {
    const { runtime, client, open } = setUp()
    await open()
    runtime.socket.say({ type: 'rate_limited', payload: { retry_after_ms: 800 } })
    void client.publish('all', 'chat', {})
    await runtime.clock.advance(799)
    expect(runtime.socket.sent).toEqual([])
    await runtime.clock.advance(1)
    expect(runtime.socket.sent).toHaveLength(1)
  })
})
