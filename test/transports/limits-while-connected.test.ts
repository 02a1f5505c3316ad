import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { names } from '../support/names.ts'
import { payloadOf, types } from '../support/payload.ts'
import { frame, OPCODE, RawSocket } from '../support/raw.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

async function openRaw(server: TestServer, user: string, query = ''): Promise<RawSocket> {
  const raw = await RawSocket.upgrade(server.url, `/realtime?token=${await server.token({ user })}${query}`)
  await raw.frame()
  return raw
}

describe('who sends too much', () => {
  test.concurrent('is warned, then refused with the time to wait, and closed where it goes on', async () => {
    await using server = await startTestServer({ config: { limits: { messages_per_second: 1, burst: 10 } } })
    await using client = await server.connect({ user: 'alice' })
    await using other = await server.connect({ user: 'bob' })
    for (let n = 0; n < 40; n++) client.send({ type: 'ping', id: `p-${n}` })
    expect(await client.closed).toEqual({ code: 4029, reason: 'rate_limited' })
    const frames = []
    for (;;) {
      const next = await client.next().catch(() => undefined)
      if (next === undefined) break
      frames.push(next)
    }
    const kinds = types(frames)
    expect(kinds.slice(0, 10)).toEqual([...Array(8).fill('pong'), 'rate_limited', 'pong'])
    expect(frames[8]).toEqual({
      type: 'rate_limited',
      payload: { retry_after_ms: expect.any(Number) },
      timestamp: expect.any(Number),
    })
    const errors = frames.filter(({ type }) => type === 'error')
    const id = errors[0]?.correlation_id
    expect(errors[0]).toMatchObject({
      payload: { code: 'RT_006', error_code: 'rate_limited', message: 'Too many messages', reconnect: true },
    })
    expect(id).toMatch(/^p-/)
    expect(payloadOf(errors[0] ?? { type: '' })['retry_after_ms']).toBeWithin(1, 1001)
    // Twice the burst refused, and the error that comes with the close.
    expect(errors.length).toBe(21)
    expect((await other.request({ type: 'ping' })).type).toBe('pong')
  })

  test.concurrent('may send again after a while', async () => {
    // A burst large enough that asking again and again is not taken for persistence: that is two bursts of refusals.
    await using server = await startTestServer({ config: { limits: { messages_per_second: 20, burst: 40 } } })
    await using client = await server.connect({ user: 'alice' })
    const answers = await Promise.all(Array.from({ length: 60 }, () => client.request({ type: 'ping' })))
    expect(types(answers)).toContain('error')
    await until(async () => (await client.request({ type: 'ping' })).type === 'pong')
  })

  test.concurrent('is measured in bytes too', async () => {
    const limits = { messages_per_second: 0, bytes_per_second: 1000, max_message_bytes: 3000 }
    await using server = await startTestServer({ config: { limits } })
    await using client = await server.connect({ user: 'alice' })
    const big = { type: 'ping', payload: 'x'.repeat(2000) }
    const answers = await Promise.all([client.request(big), client.request(big)])
    expect(types(answers)).toEqual(['pong', 'error'])
    const retryAfterMs = payloadOf(answers[1] as (typeof answers)[0])['retry_after_ms']
    // A thousand of two thousand bytes are left, and a thousand come back in a second: less of it the later it is asked.
    expect(retryAfterMs).toBeWithin(500, 1200)
  })

  test.concurrent('of frames that are no frames is counted all the same', async () => {
    await using server = await startTestServer({ config: { limits: { messages_per_second: 1, burst: 5 } } })
    using raw = await openRaw(server, 'alice')
    for (let n = 0; n < 20; n++) raw.write(frame(OPCODE.text, 'garbage'))
    expect(await raw.closeFrame()).toEqual({ code: 4029, reason: 'rate_limited' })
  })

  test.concurrent('behind a handler that takes its time is told to wait', async () => {
    const limits = { messages_per_second: 0, bytes_per_second: 0, max_pending_bytes: 4096 }
    const { default: app } = await import('../contracts/app.ts')
    await using server = await startTestServer({ app, config: { limits } })
    await using client = await server.connect({ user: 'alice' })
    const slow = client.request({ type: 'slow_echo', payload: { n: 1, ms: 200 } })
    const waiting = Array.from({ length: 10 }, (_, n) =>
      client.request({ type: 'ping', payload: 'x'.repeat(900), id: `${n}` }),
    )
    const kinds = types(await Promise.all(waiting))
    expect(kinds).toEqual(['pong', 'pong', 'pong', 'pong', ...Array(6).fill('error')])
    expect((await slow).type).toBe('ack')
  })
})

describe('who does not read', () => {
  test.concurrent('is closed as a slow consumer, and nobody else misses anything', async () => {
    const limits = { messages_per_second: 0, bytes_per_second: 0, max_pending_bytes: 262_144, per_user: 0 }
    await using server = await startTestServer({ config: { limits } })
    const { lobby } = names()
    await using sender = await server.connect({ user: 'sender', rooms: [lobby] })
    await using reader = await server.connect({ user: 'reader', rooms: [lobby] })
    using slow = await openRaw(server, 'slow', `&rooms=${lobby}`)
    slow.pause()
    const payload = 'x'.repeat(60_000)
    let sent = 0
    // The kernel takes a few megabytes before anybody notices.
    while (server.hub.registry.byUser.has('slow')) {
      const { payload: ack } = await sender.request({ type: 'bulk', to: { room: lobby }, payload })
      sent++
      expect(ack).toMatchObject({ online: expect.any(Number) })
      if (sent > 2000) throw new Error('the slow one was never closed')
    }
    expect(await server.logged('connection_closed', { user_id: 'slow' })).toMatchObject({
      code: 4008,
      reason: 'slow_consumer',
    })
    const heard = (await reader.received()).filter(({ type }) => type === 'bulk')
    expect(heard).toHaveLength(sent)
  })

  test.concurrent('of frames sent to it alone is closed too', async () => {
    const limits = { messages_per_second: 0, bytes_per_second: 0, max_pending_bytes: 262_144 }
    await using server = await startTestServer({ config: { limits } })
    using slow = await openRaw(server, 'slow')
    slow.pause()
    const echo = frame(OPCODE.text, JSON.stringify({ type: 'ping', payload: 'x'.repeat(60_000) }))
    for (let n = 0; n < 400; n++) slow.write(echo)
    await server.logged('connection_closed', { user_id: 'slow', code: 4008 })
  })
})

describe('a peer that is dead', () => {
  const heartbeat = { interval_ms: 300, timeout_ms: 2000 }

  test.concurrent('is closed within its time, quiet or spoken to, and its users are told once', async () => {
    await using server = await startTestServer({ config: { heartbeat, limits: { messages_per_second: 0 } } })
    const { lobby, alice } = names()
    await using watcher = await server.connect({ user: 'watcher', rooms: [lobby] })
    const started = performance.now()
    using dead = await openRaw(server, alice, `&rooms=${lobby}`)
    let chatting = true
    const chatter = (async () => {
      while (chatting) await watcher.request({ type: 'chatter', to: { room: lobby } })
    })()
    const line = await server.logged('heartbeat_timeout', { user_id: alice })
    chatting = false
    await chatter
    expect(line).toMatchObject({ code: 4010, reason: 'heartbeat_timeout' })
    // Registered a little after the start of the handshake; looked at a little before the end.
    expect(performance.now() - started).toBeGreaterThan(1000)
    expect(await dead.closeFrame()).toEqual({ code: 4010, reason: 'heartbeat_timeout' })
    const heard = types(await watcher.received())
    expect(heard.filter((type) => type === 'user_left_room')).toHaveLength(1)
    expect(server.hub.registry.byUser.has(alice)).toBe(false)
  })

  test.concurrent('is not one that only answers pings', async () => {
    await using server = await startTestServer({ config: { heartbeat } })
    await using quiet = await server.connect({ user: 'quiet' })
    using dead = await openRaw(server, 'dead')
    // By the time that this one has been found, the other has answered for as long.
    await dead.closeFrame()
    expect(server.hub.registry.byUser.has('quiet')).toBe(true)
    expect(types(await quiet.received()).filter((type) => type !== 'position')).toEqual([])
  })

  test.concurrent('is not one that only sends', async () => {
    await using server = await startTestServer({ config: { heartbeat, limits: { messages_per_second: 0 } } })
    using dead = await openRaw(server, 'dead')
    using talker = await openRaw(server, 'talker')
    const closed = dead.closeFrame()
    let over = false
    void closed.then(() => {
      over = true
    })
    while (!over) {
      talker.send({ type: 'nobody' })
      await talker.json()
      await Bun.sleep(20)
    }
    expect(server.hub.registry.byUser.has('talker')).toBe(true)
  })
})
