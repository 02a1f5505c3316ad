import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { post, Stream } from '../support/http.ts'
import { payloadOf, types } from '../support/payload.ts'
import { RawSocket } from '../support/raw.ts'
import { hasFreeSeat } from '../support/seats.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const CURSOR = expect.stringMatching(/^\d{16}$/)
const KEPT = { rooms: [{ pattern: 'kept*', history: { max_messages: 10_000 } }] }

const chat = (server: TestServer, room: string, payload: unknown) => server.app.publish({ room }, 'chat', payload)

describe('an event stream', () => {
  test.concurrent('begins with the time to wait before coming back, and with welcome', async () => {
    await using server = await startTestServer()
    await using stream = await Stream.open(server, { user: 'alice' })
    const { id, frame } = await stream.frame('welcome')
    expect(stream.response.status).toBe(200)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
    expect(stream.response.headers.get('cache-control')).toContain('no-transform')
    expect(stream.events[0]).toEqual({ id: undefined, data: undefined, retry: '2000' })
    expect([id, frame.cursor, payloadOf(frame)['cursor']]).toEqual([CURSOR, id, id])
  })

  test.concurrent('has an id where a message is stored, and none where it is not', async () => {
    await using server = await startTestServer({ config: KEPT })
    await using stream = await Stream.open(server, { user: 'alice' }, { rooms: 'kept,live' })
    await stream.frame('welcome')
    const { cursor } = await chat(server, 'kept', 1)
    expect(await stream.frame('chat')).toMatchObject({ id: cursor, frame: { cursor, payload: 1 } })
    await chat(server, 'live', 2)
    expect(await stream.frame('chat')).toMatchObject({ id: undefined, frame: { payload: 2 } })
  })

  test.concurrent('carries any text, whatever ends lines elsewhere', async () => {
    await using server = await startTestServer({ config: { ...KEPT, limits: { max_message_bytes: 2_000_000 } } })
    await using stream = await Stream.open(server, { user: 'alice' }, { rooms: 'kept,live' })
    await stream.frame('welcome')
    const texts = [
      'a\nb',
      'a\rb',
      'a\r\nb',
      '\n\ndata: forged\n\n',
      'id: 1\n\n',
      '\u2028\u2029\u0085\ufeff\u0000\ud83d\ude00',
      '',
      'x'.repeat(1_000_000),
    ]
    for (const room of ['kept', 'live']) {
      for (const text of texts) await chat(server, room, text)
      for (const text of texts) expect((await stream.frame('chat')).frame.payload).toBe(text)
    }
  })

  test.concurrent('is written once for all that comes in one turn', async () => {
    await using server = await startTestServer()
    using raw = await RawSocket.open(server.url)
    raw.write(
      `GET /realtime/sse?rooms=live&token=${await server.token({ user: 'alice' })} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )
    await until(() => raw.text.includes('welcome'))
    const before = raw.text.length
    for (let n = 0; n < 32; n++) void chat(server, 'live', n)
    await until(() => raw.text.includes('"payload":31'))
    // A chunk of the response begins with its length.
    expect(raw.text.slice(before).match(/^[0-9a-f]+\r$/gm)).toHaveLength(1)
  })

  test.concurrent('that nobody reads any more frees everything at once', async () => {
    await using server = await startTestServer()
    await using watcher = await server.connect({ user: 'bob', rooms: ['live'] })
    const streams = await Promise.all([1, 2, 3].map(() => Stream.open(server, { user: 'alice' }, { rooms: 'live' })))
    for (const stream of streams) await stream.frame('welcome')
    for (const stream of streams) stream.leave()
    await watcher.next('user_left_room')
    await until(() => server.hub.registry.size === 1)
    expect(await hasFreeSeat(server.hub, 'alice')).toBe(true)
  })

  test.concurrent('is refused with a status where it is refused', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    const open = async (query: Record<string, string>, headers: Record<string, string> = {}) => {
      await using stream = await Stream.open(server, { user: 'alice' }, query, headers)
      return stream.response.status
    }
    expect(await open({ format: 'msgpack' })).toBe(400)
    expect(await open({ cursor: 'x' })).toBe(400)
    expect(await open({ token: 'bad' })).toBe(401)
    expect(await open({}, { origin: 'https://evil.example' })).toBe(403)
    await using stream = await Stream.open(server, { user: 'alice' })
    await stream.frame('welcome')
    expect(await open({})).toBe(429)
    expect(server.hub.registry.size).toBe(1)
  })

  test.concurrent('is not opened by who only asks whether it is there', async () => {
    await using server = await startTestServer()
    const token = await server.token({ user: 'alice' })
    for (const path of ['sse', 'poll']) {
      const { status } = await fetch(`${server.url}/realtime/${path}?token=${token}`, { method: 'HEAD' })
      expect(status).toBe(405)
    }
    expect(server.hub.registry.size).toBe(0)
  })
})

describe('the heartbeat of a stream', () => {
  test.concurrent('is an event without data that moves the position', async () => {
    await using server = await startTestServer({ config: { ...KEPT, heartbeat: { interval_ms: 200 } } })
    await using stream = await Stream.open(server, { user: 'alice' })
    await stream.frame('welcome')
    const { cursor } = await chat(server, 'kept', 'somewhere else')
    const { id } = await stream.find((event) => event.id === cursor)
    const quiet = stream.events.filter(({ data, retry }) => data === undefined && retry === undefined)
    expect(quiet.map((event) => event.id).at(-1)).toBe(id)
    expect(types(stream.frames)).toEqual(['welcome'])
  })

  test.concurrent('asks for no answer: a stream that is only read stays, one that began to ping has to go on', async () => {
    await using server = await startTestServer({ config: { heartbeat: { interval_ms: 100, timeout_ms: 400 } } })
    await using quiet = await Stream.open(server, { user: 'quiet' })
    await quiet.frame('welcome')
    await using pinging = await Stream.open(server, { user: 'pinging' })
    const { frame } = await pinging.frame('welcome')
    const ping = { connection_id: payloadOf(frame)['connection_id'], type: 'ping' }
    expect((await post(server, { user: 'pinging' }, ping)).body.type).toBe('pong')
    await pinging.over()
    await server.logged('heartbeat_timeout', { user_id: 'pinging', transport: 'sse' })
    expect(quiet.ended).toBeUndefined()
    expect([...server.hub.registry.all()].map(({ userId }) => userId)).toEqual(['quiet'])
  })
})

describe('a stream that comes back', () => {
  test.concurrent('goes on after Last-Event-ID, which wins over the cursor of its address', async () => {
    await using server = await startTestServer({ config: KEPT })
    const cursors = []
    for (let n = 0; n < 5; n++) cursors.push((await chat(server, 'kept', n)).cursor ?? '')
    const query = { rooms: 'kept', cursor: cursors[0] ?? '' }
    await using stream = await Stream.open(server, { user: 'alice' }, query, { 'last-event-id': cursors[2] ?? '' })
    const { id, frame } = await stream.frame('welcome')
    expect(id).toBe(cursors[2])
    expect(payloadOf(frame)['resume']).toEqual({ session: false, recovered: true, replayed: 2, gaps: [] })
    expect([(await stream.frame('chat')).id, (await stream.frame('chat')).id]).toEqual([cursors[3], cursors[4]])
    await using other = await Stream.open(server, { user: 'alice' }, query, { 'last-event-id': '' })
    expect((await other.frame('welcome')).id).toBe(cursors[0])
  })

  test.concurrent('with a Last-Event-ID that was never given is told so', async () => {
    await using server = await startTestServer({ config: KEPT })
    const status = async (id: string) => {
      await using stream = await Stream.open(server, { user: 'alice' }, { rooms: 'kept' }, { 'last-event-id': id })
      return stream.response.status
    }
    for (const id of ['-1', '1e9', ' 1', '0x1', '9'.repeat(17), 'x'.repeat(5000), '1; drop']) {
      // A header's white space is no part of its value.
      expect([id, await status(id)]).toEqual([id, id === ' 1' ? 200 : 400])
    }
    const future = String((Date.now() + 3_600_000) * 1000)
    await using stream = await Stream.open(server, { user: 'alice' }, { rooms: 'kept' }, { 'last-event-id': future })
    const { frame } = await stream.frame('welcome')
    expect(payloadOf(frame)['resume']).toMatchObject({ recovered: false })
  })

  test.concurrent('has its rooms back, and takes the place of the one that it was', async () => {
    await using server = await startTestServer({ config: { ...KEPT, limits: { per_user: 1 } } })
    await using stream = await Stream.open(server, { user: 'alice', device: 'd' })
    const { frame } = await stream.frame('welcome')
    const connection_id = String(payloadOf(frame)['connection_id'])
    await post(server, { user: 'alice' }, { connection_id, type: 'join_room', payload: { room: 'kept' } })
    const query = { resume: connection_id }
    await using again = await Stream.open(server, { user: 'alice', device: 'd' }, query)
    const welcome = payloadOf((await again.frame('welcome')).frame)
    expect(welcome).toMatchObject({ rooms: [{ room: 'kept' }], resume: { session: true } })
    expect(await stream.over()).toBe('end')
    expect(stream.frames.at(-1)).toMatchObject({ type: 'error', payload: { code: 'RT_007', reconnect: false } })
  })
})

describe('a stream whose client does not read', () => {
  test.concurrent('is cut off with its own reason, costs nobody else anything, and goes on where it was', async () => {
    const config = { ...KEPT, limits: { max_pending_bytes: 65_536 } }
    await using server = await startTestServer({ config })
    await using healthy = await server.connect({ user: 'bob', rooms: ['kept'] })
    using raw = await RawSocket.open(server.url)
    raw.write(
      `GET /realtime/sse?rooms=kept&token=${await server.token({ user: 'slow' })} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )
    await until(() => raw.text.includes('welcome'))
    raw.socket.pause()
    const body = 'x'.repeat(50_000)
    let sent = 0
    let closed = false
    void server.logged('connection_closed', { user_id: 'slow', reason: 'slow_consumer', code: 4008 }).then(() => {
      closed = true
    })
    let most = 0
    while (!closed && sent < 2000) {
      await chat(server, 'kept', `${sent++} ${body}`)
      for (const { userId, wire } of server.hub.registry.all()) {
        if (userId === 'slow') most = Math.max(most, wire.bufferedBytes())
      }
    }
    expect(closed).toBe(true)
    // What one turn adds may pass the limit, and no more than that.
    expect(most).toBeLessThan(65_536 * 4)
    for (let n = 0; n < sent; n++) expect(String((await healthy.next('chat')).payload)).toStartWith(`${n} `)
    raw.socket.resume()
    await until(() => raw.ended !== undefined)
    expect(raw.ended).toBe('reset')
    const ids = [...raw.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id)
    const had = raw.text.match(/^data: .*"type":"chat".*\}$/gm)?.length ?? 0
    await using again = await Stream.open(
      server,
      { user: 'slow' },
      { rooms: 'kept' },
      { 'last-event-id': ids[had] ?? '' },
    )
    for (let n = had; n < sent; n++) expect(String((await again.frame('chat')).frame.payload)).toStartWith(`${n} `)
  })
})

describe('a server that leaves', () => {
  test.concurrent('tells a stream when to come back, in a way that browsers understand, and ends it in peace', async () => {
    await using server = await startTestServer({ config: { drain: { window_ms: 5000 } } })
    await using stream = await Stream.open(server, { user: 'alice' })
    await stream.frame('welcome')
    void server.stop()
    expect(await stream.over()).toBe('end')
    const frame = stream.frames.at(-1)
    expect(frame).toMatchObject({ type: 'server_draining', payload: { reason: 'test_over' } })
    const { reconnect_after_ms } = payloadOf(frame ?? { type: '' })
    expect(reconnect_after_ms).toBeWithin(0, 5001)
    expect(stream.events.at(-2)).toEqual({ id: undefined, data: undefined, retry: String(reconnect_after_ms) })
  })
})
