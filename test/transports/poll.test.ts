import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Frame, startTestServer, type TestServer } from '../../src/testing/index.ts'
import { Poller, post } from '../support/http.ts'
import { payloadOf, types } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const KEPT = { rooms: [{ pattern: 'kept*', history: { max_messages: 1000 } }] }

const chat = (server: TestServer, room: string, payload: unknown) => server.app.publish({ room }, 'chat', payload)
const payloads = (frames: readonly Frame[]) =>
  frames.filter(({ type }) => type === 'chat').map(({ payload }) => payload)
/** Begins a poll, and resolves when the server has it. */
async function held<T>(server: TestServer, user: string, poll: () => Promise<T>): Promise<{ answer: Promise<T> }> {
  const [session] = server.hub.registry.byUser.get(user)
  const before = session?.lastInbound ?? 0
  const answer = poll()
  await until(() => (session?.lastInbound ?? 0) > before)
  return { answer }
}

describe('the first poll', () => {
  test.concurrent('is answered at once, beginning with welcome', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { cursor } = await chat(server, 'kept', 'before')
    const { first } = await Poller.open(
      server,
      { user: 'alice', device: 'd' },
      { rooms: 'kept,closed room', timeout: '60' },
    )
    expect(first).toEqual({
      connection_id: expect.any(String),
      cursor: cursor ?? '',
      messages: [expect.objectContaining({ type: 'welcome' }), expect.objectContaining({ type: 'error' })],
      upgrade: { transport: 'websocket', url: `${server.url.replace('http', 'ws')}/realtime` },
    })
    expect(payloadOf(first.messages[0] as Frame)).toMatchObject({ connection_id: first.connection_id, device_id: 'd' })
  })

  test.concurrent('with a cursor brings what came after it, behind welcome', async () => {
    await using server = await startTestServer({ config: KEPT })
    const cursors = []
    for (let n = 0; n < 5; n++) cursors.push((await chat(server, 'kept', n)).cursor ?? '')
    const { first } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept', cursor: cursors[1] ?? '' })
    expect(types(first.messages)).toEqual(['welcome', 'chat', 'chat', 'chat'])
    expect(payloads(first.messages)).toEqual([2, 3, 4])
    expect(first.messages[0]?.cursor).toBe(cursors[1])
    expect(first.cursor).toBe(cursors[4] ?? '')
  })

  test.concurrent('says no where it is refused, and leaves nothing behind', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    const poller = new Poller(server, { user: 'alice' })
    const refusal = async (query: Record<string, string>) => {
      const answer = await poller.ask(query)
      if (!(answer instanceof Response)) throw new Error('let in')
      return [answer.status, (await answer.json()).error.details?.field]
    }
    for (const timeout of ['-1', 'soon', '61', '1.5', '']) expect(await refusal({ timeout })).toEqual([400, 'timeout'])
    expect(await refusal({ cursor: 'x' })).toEqual([400, 'cursor'])
    expect(await refusal({ format: 'msgpack' })).toEqual([400, 'format'])
    expect(await refusal({ ticket: 'none' })).toEqual([401, undefined])
    expect(server.hub.registry.size).toBe(0)
    await poller.poll()
    expect(await Poller.open(server, { user: 'alice' }).catch((error) => String(error))).toContain('429')
  })
})

describe('a poll', () => {
  test.concurrent('is held until there is something, which may be stored or not', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept,live' })
    for (const room of ['kept', 'live', 'kept']) {
      const next = await held(server, 'alice', () => poller.poll())
      const { cursor = poller.cursor } = await chat(server, room, room)
      const answer = await next.answer
      expect(payloads(answer.messages)).toEqual([room])
      expect(answer.cursor).toBe(cursor)
    }
  })

  test.concurrent('gives an empty list when its time is up, with a position that has moved all the same', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller } = await Poller.open(server, { user: 'alice' })
    const { cursor } = await chat(server, 'kept', 'elsewhere')
    const answer = await poller.poll({ timeout: '1' })
    expect(answer.messages).toEqual([])
    expect(answer.cursor).toBe(cursor ?? '')
    expect((await poller.poll({ timeout: '0' })).messages).toEqual([])
  })

  test.concurrent('with the same cursor gives the same stored messages again, and no other', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller, first } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept,live' })
    await chat(server, 'live', 'once')
    for (let n = 0; n < 3; n++) await chat(server, 'kept', n)
    expect(payloads((await poller.poll()).messages)).toEqual(['once', 0, 1, 2])
    expect(payloads((await poller.poll({ cursor: first.cursor })).messages)).toEqual([0, 1, 2])
    expect(payloads((await poller.poll({ timeout: '0' })).messages)).toEqual([])
  })

  test.concurrent('lets one that is held go, empty and with the cursor that it came with', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller, first } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept' })
    const older = await held(server, 'alice', () => poller.poll())
    const newer = await held(server, 'alice', () => poller.poll())
    const released = await older.answer
    expect([released.messages, released.cursor]).toEqual([[], first.cursor])
    await chat(server, 'kept', 'once')
    expect(payloads((await newer.answer).messages)).toEqual(['once'])
    expect((await poller.poll({ timeout: '0' })).messages).toEqual([])
  })

  test.concurrent('of which the client wants no more is forgotten at once; its session is not', async () => {
    await using server = await startTestServer()
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'live' })
    for (let n = 0; n < 50; n++) {
      const abort = new AbortController()
      const given = poller.poll({}, abort.signal).catch(() => 'given up')
      abort.abort()
      expect(await given).toBe('given up')
    }
    await chat(server, 'live', 'still here')
    expect(payloads((await poller.poll()).messages)).toEqual(['still here'])
    expect(server.hub.registry.size).toBe(1)
  })

  test.concurrent('brings no more than a page at a time, and the rest with the next', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept,live' })
    await Promise.all(Array.from({ length: 450 }, (_, n) => chat(server, 'kept', n)))
    for (let n = 0; n < 8; n++) await chat(server, 'live', 'y'.repeat(60_000))
    const sizes = []
    const heard: unknown[] = []
    while (heard.length < 458) {
      const { messages } = await poller.poll({ timeout: '5' })
      sizes.push(messages.length)
      heard.push(...payloads(messages))
    }
    expect(heard.slice(0, 450)).toEqual([...Array(450).keys()])
    expect(Math.max(...sizes)).toBeLessThanOrEqual(250)
    expect(sizes.length).toBeGreaterThanOrEqual(4)
  })

  test.concurrent('says where something is missing that the client has not fetched in time', async () => {
    await using server = await startTestServer({
      config: { rooms: [{ pattern: 'short', history: { max_messages: 5 } }] },
    })
    const { poller, first } = await Poller.open(server, { user: 'alice' }, { rooms: 'short' })
    for (let n = 0; n < 20; n++) await chat(server, 'short', n)
    const { messages } = await poller.poll()
    expect(messages[0]).toEqual({
      type: 'gap',
      payload: { rooms: ['short'], from: first.cursor, cursor: first.cursor },
      timestamp: expect.any(Number),
    })
    expect(payloads(messages)).toEqual([15, 16, 17, 18, 19])
    await chat(server, 'short', 20)
    expect(types((await poller.poll()).messages)).toEqual(['chat'])
  })

  test.concurrent('with a cursor from the future says so, and goes on from now', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept' })
    const { messages } = await poller.poll({ cursor: String((Date.now() + 3_600_000) * 1000) })
    expect(types(messages)).toEqual(['gap'])
    await chat(server, 'kept', 1)
    expect(payloads((await poller.poll()).messages)).toEqual([1])
  })

  test.concurrent('gives no copy of what the client has sent itself', async () => {
    await using server = await startTestServer({ config: KEPT })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'kept' })
    const frame = { connection_id: poller.connectionId, type: 'chat', to: { room: 'kept' } }
    await post(server, { user: 'alice' }, { ...frame, payload: 'mine' })
    await chat(server, 'kept', 'another')
    expect(payloads((await poller.poll()).messages)).toEqual(['another'])
  })
})

describe('a session that polls', () => {
  test.concurrent('is a connection like any other: counted, shown, present', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 1 } } })
    await using watcher = await server.connect({ user: 'bob', rooms: ['live'] })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'live' })
    await watcher.next('user_joined_room')
    const frame = { connection_id: poller.connectionId, type: 'who_am_i', id: 'w' }
    const { body } = await post(server, { user: 'alice' }, frame)
    expect(body.payload).toMatchObject({ transport: 'poll', state: 'open', rooms: ['live'], format: 'json' })
    expect(await server.connect({ user: 'alice' }).catch((error) => error.error.error_code)).toBe('connection_limit')
  })

  test.concurrent('ends some time after its last poll, and not while one is held', async () => {
    await using server = await startTestServer({ config: { poll: { grace_ms: 300 } } })
    await using watcher = await server.connect({ user: 'bob', rooms: ['live'] })
    const { poller } = await Poller.open(server, { user: 'alice' }, { rooms: 'live' })
    await poller.poll({ timeout: '1' })
    expect(server.hub.registry.byUser.count('alice')).toBe(1)
    await watcher.next('user_left_room')
    await server.logged('heartbeat_timeout', { user_id: 'alice', transport: 'poll' })
    expect(server.hub.registry.byUser.count('alice')).toBe(0)
  })

  test.concurrent('that has ended is followed by a new one with its rooms, from the cursor on', async () => {
    await using server = await startTestServer({ config: { ...KEPT, poll: { grace_ms: 1000 } } })
    const { poller, first } = await Poller.open(server, { user: 'alice', device: 'd' })
    const { connectionId } = poller
    const join = { connection_id: connectionId, type: 'join_room', payload: { room: 'kept' } }
    await post(server, { user: 'alice' }, join)
    await until(() => server.hub.registry.size === 0)
    await chat(server, 'kept', 'meanwhile')
    const { messages } = await poller.poll({ cursor: first.cursor })
    expect(types(messages)).toEqual(['welcome', 'chat'])
    expect(payloadOf(messages[0] as Frame)).toMatchObject({ rooms: [{ room: 'kept' }], resume: { session: true } })
    expect(poller.connectionId).not.toBe(connectionId)
  })

  test.concurrent('is a new one where its connection_id is not known, with the rooms of the address', async () => {
    await using server = await startTestServer()
    const poller = new Poller(server, { user: 'alice' })
    const { connection_id, messages } = await poller.poll({ connection_id: 'nobody', rooms: 'live', cursor: '5' })
    expect(connection_id).not.toBe('nobody')
    expect(payloadOf(messages[0] as Frame)).toMatchObject({ rooms: [{ room: 'live' }], resume: { recovered: false } })
  })

  test.concurrent('belongs to its user and device', async () => {
    await using server = await startTestServer()
    const { poller } = await Poller.open(server, { user: 'alice', device: 'phone' })
    const { connectionId: connection_id } = poller
    for (const who of [{ user: 'mallory' }, { user: 'alice', device: 'laptop' }]) {
      const answer = await new Poller(server, who).ask({ connection_id })
      expect(answer instanceof Response && answer.status).toBe(403)
    }
    expect(types((await poller.poll({ timeout: '0' })).messages)).toEqual([])
  })

  test.concurrent('hears at its next poll why it was ended in between', async () => {
    await using server = await startTestServer()
    const { poller } = await Poller.open(server, { user: 'alice', expiresIn: 2 }, { ack: 'explicit' })
    await until(() => server.hub.registry.size === 0)
    const farewell = await poller.ask({ token: await server.token({ user: 'alice' }) })
    if (farewell instanceof Response) throw new Error(`refused: ${farewell.status}`)
    expect(farewell.connection_id).toBe(poller.connectionId)
    expect(types(farewell.messages)).toEqual(['error'])
    expect(farewell.messages[0]?.payload).toMatchObject({ error_code: 'token_expired', reconnect: false })
  })

  test.concurrent('hears why it is ended while it is held', async () => {
    await using server = await startTestServer()
    const { poller } = await Poller.open(server, { user: 'alice' })
    const { answer } = await held(server, 'alice', () => poller.poll())
    await server.stop('maintenance')
    expect((await answer).messages).toMatchObject([{ type: 'server_draining', payload: { reason: 'maintenance' } }])
  })

  test.concurrent('that gets more than it fetches is ended, and the log has the rest', async () => {
    await using server = await startTestServer({ config: { ...KEPT, limits: { max_pending_bytes: 65_536 } } })
    const { poller } = await Poller.open(server, { user: 'slow' }, { rooms: 'kept,live' })
    await chat(server, 'kept', 'stored')
    for (let n = 0; n < 5; n++) await chat(server, 'live', 'x'.repeat(50_000))
    await server.logged('connection_closed', {
      user_id: 'slow',
      reason: 'slow_consumer',
      code: 4008,
      transport: 'poll',
    })
    const heard: Frame[] = []
    while (!types(heard).includes('welcome')) heard.push(...(await poller.poll({ rooms: 'kept,live' })).messages)
    const welcome = types(heard).indexOf('welcome')
    expect(payloads(heard.slice(welcome))).toEqual(['stored'])
  })
})

describe('what a client that polls has acknowledged', () => {
  const inbox = async (ack: string | undefined) => {
    await using server = await startTestServer()
    const who = { user: 'alice', device: 'd' }
    const direct = (payload: number) => server.app.publish({ user_id: 'alice' }, 'chat', payload)
    const { poller } = await Poller.open(server, who, ack === undefined ? {} : { ack })
    for (const n of [1, 2]) await direct(n)
    expect(payloads((await poller.poll()).messages)).toEqual([1, 2])
    await poller.poll({ timeout: '0' })
    await direct(3)
    await poller.poll()
    // Another session of the device goes on from what was acknowledged.
    const { first } = await Poller.open(server, who)
    return payloads(first.messages)
  }

  test.concurrent('is what its next poll says that it has', async () => {
    expect(await inbox(undefined)).toEqual([3])
  })

  test.concurrent('is nothing where it does so explicitly and has not', async () => {
    expect(await inbox('explicit')).toEqual([1, 2, 3])
  })
})
