import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decode, encode } from '@msgpack/msgpack'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { Poller, post, Stream } from '../support/http.ts'
import { payloadOf } from '../support/payload.ts'

setDefaultTimeout(30_000)

const ALICE = { user: 'alice', device: 'd', name: 'Alice' }

async function connected(server: TestServer, rooms = ''): Promise<string> {
  const { poller } = await Poller.open(server, ALICE, rooms === '' ? {} : { rooms })
  return poller.connectionId
}

describe('a frame by POST', () => {
  test.concurrent('is handled as on the connection that it names, and answered in the body', async () => {
    await using server = await startTestServer()
    await using bob = await server.connect({ user: 'bob', rooms: ['lobby'] })
    const connection_id = await connected(server)
    const join = { connection_id, type: 'join_room', id: 'j', payload: { room: 'lobby' } }
    expect((await post(server, ALICE, join)).body).toMatchObject({
      type: 'ack',
      correlation_id: 'j',
      payload: { room: 'lobby' },
    })
    await bob.next('user_joined_room')
    const chat = { connection_id, type: 'chat', to: { room: 'lobby' }, payload: { $bin: 'AAH/' } }
    const { status, body } = await post(server, ALICE, chat)
    expect([status, body]).toEqual([
      200,
      { type: 'ack', payload: { id: expect.any(String), online: 1 }, timestamp: expect.any(Number) },
    ])
    const message = await bob.next('chat')
    expect(message.payload).toEqual(new Uint8Array([0, 1, 255]))
    expect(message.sender).toEqual({ user_id: 'alice', device_id: 'd', username: 'Alice' })
  })

  test.concurrent('that fails has the status of its error, and its own id', async () => {
    await using server = await startTestServer()
    const connection_id = await connected(server)
    const failed = async (frame: object) => {
      const { status, body } = await post(server, ALICE, { connection_id, id: 'f', ...frame })
      return [status, body.error.error_code, body.error.correlation_id]
    }
    expect(await failed({ type: 'nobody' })).toEqual([404, 'unknown_type', 'f'])
    expect(await failed({ type: 'a b' })).toEqual([400, 'invalid_message', 'f'])
    expect(await failed({ type: 'chat', to: { room: 'x' } })).toEqual([403, 'forbidden', 'f'])
    expect(await failed({ type: 'ping', connection_id: 17 })).toEqual([400, 'invalid_message', 'f'])
    expect(await failed({ type: 'ping', connection_id: 'gone' })).toEqual([404, 'not_found', 'f'])
    await server.logged('frame_refused', { correlation_id: 'f', user_id: 'alice', error_code: 'unknown_type' })
    // Its client is to come back, and not to believe that it asked for something that there is not.
    const { body } = await post(server, ALICE, { connection_id: 'gone', type: 'ping' })
    expect(body.error.details).toEqual({ field: 'connection_id' })
  })

  test.concurrent('is taken from its own user and device alone', async () => {
    await using server = await startTestServer()
    const connection_id = await connected(server)
    for (const who of [{ user: 'mallory' }, { user: 'alice', device: 'other' }]) {
      const { status, body } = await post(server, who, { connection_id, type: 'ping' })
      expect([status, body.error.error_code]).toEqual([403, 'forbidden'])
    }
    expect((await post(server, { user: 'alice' }, { connection_id, type: 'ping' })).status).toBe(200)
  })

  test.concurrent('may be in a list, which is answered with a list, whatever becomes of each', async () => {
    await using server = await startTestServer({
      config: { rooms: [{ pattern: 'kept', history: { max_messages: 10 } }] },
    })
    const connection_id = await connected(server)
    for (let n = 0; n < 3; n++) await server.app.publish({ room: 'kept' }, 'chat', n)
    const { status, body } = await post(server, ALICE, [
      { connection_id, type: 'ping', id: '1' },
      { connection_id, type: 'nobody', id: '2' },
      { connection_id, type: 'join_room', id: '3', payload: { room: 'kept', history: 2 } },
      { connection_id: 'gone', type: 'ping', id: '4' },
      'no frame',
    ])
    expect(status).toBe(200)
    expect(body).toMatchObject([
      { type: 'pong', correlation_id: '1' },
      { type: 'error', correlation_id: '2', payload: { code: 'RT_005' } },
      [
        { type: 'chat', payload: 1, history: true },
        { type: 'chat', payload: 2, history: true },
        { type: 'ack', correlation_id: '3', payload: { replayed: 2 } },
      ],
      { type: 'error', correlation_id: '4', payload: { code: 'RT_005' } },
      { type: 'error', payload: { code: 'RT_004' } },
    ])
  })

  test.concurrent('keeps its place in a list, and lists in theirs', async () => {
    const app = tidings().on('slow', async ({ payload }) => {
      await Bun.sleep((payload as number) % 3)
      return payload
    })
    await using server = await startTestServer({ app, config: { limits: { messages_per_second: 0 } } })
    const connection_id = await connected(server)
    const numbers = [...Array(60).keys()]
    const { body } = await post(
      server,
      ALICE,
      numbers.map((payload) => ({ connection_id, type: 'slow', payload })),
    )
    expect(body.map(({ payload }: { payload: { result: number } }) => payload.result)).toEqual(numbers)
  })

  test.concurrent('reaches a handler that waits for it, past the frame whose handler that is', async () => {
    const app = tidings().on('ask_me', async ({ emitWithAck }) => emitWithAck('question', 1, { timeoutMs: 5000 }))
    await using server = await startTestServer({ app })
    await using stream = await Stream.open(server, ALICE)
    const connection_id = payloadOf((await stream.frame('welcome')).frame)['connection_id']
    const asked = post(server, ALICE, { connection_id, type: 'ask_me' })
    const { frame } = await stream.frame('question')
    const payload = { correlation_id: frame.ack_id, result: 'yes' }
    expect((await post(server, ALICE, { connection_id, type: 'ack', payload })).status).toBe(200)
    expect((await asked).body.payload).toEqual({ result: 'yes' })
  })

  test.concurrent('answers under the key that the connection has chosen', async () => {
    await using server = await startTestServer()
    const { poller } = await Poller.open(server, ALICE, { envelope: 'data' })
    const { body } = await post(server, ALICE, { connection_id: poller.connectionId, type: 'ping', payload: 1 })
    expect([body.data.echo, 'payload' in body]).toEqual([1, false])
  })

  test.concurrent('may be MessagePack, and so is its answer', async () => {
    await using server = await startTestServer()
    await using bob = await server.connect({ user: 'bob' })
    const frame = { type: 'chat', id: 'm', to: { user_id: 'bob' }, payload: new Uint8Array([1, 2]) }
    const response = await fetch(`${server.url}/realtime/send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await server.token(ALICE)}`, 'content-type': 'application/msgpack' },
      body: encode([frame]),
    })
    expect(response.headers.get('content-type')).toBe('application/msgpack')
    expect(decode(await response.arrayBuffer())).toMatchObject([{ type: 'ack', correlation_id: 'm' }])
    expect((await bob.next('chat')).payload).toEqual(new Uint8Array([1, 2]))
  })
})

describe('a body', () => {
  test.concurrent('is not read for strangers', async () => {
    await using server = await startTestServer()
    const send = (headers: Record<string, string>, query = '') =>
      fetch(`${server.url}/realtime/send${query}`, { method: 'POST', headers, body: 'not { json' })
    expect((await send({})).status).toBe(403)
    expect((await send({ authorization: 'Bearer bad' })).status).toBe(401)
    expect((await send({ origin: 'https://evil.example' }, `?token=${await server.token(ALICE)}`)).status).toBe(403)
    expect((await send({ authorization: `Bearer ${await server.token(ALICE)}` })).status).toBe(400)
  })

  test.concurrent('is bounded as a whole and frame by frame', async () => {
    await using server = await startTestServer({ config: { limits: { max_message_bytes: 2000 } } })
    const to = { user_id: 'bob' }
    const frame = (payload: unknown) => ({ type: 'chat', id: 'x', to, payload })
    const big = 'x'.repeat(2000)
    let deep: unknown = 1
    for (let level = 0; level < 32; level++) deep = [deep]
    expect((await post(server, ALICE, frame(big))).status).toBe(413)
    expect((await post(server, ALICE, Array(17).fill(frame(big)))).status).toBe(413)
    const { body } = await post(server, ALICE, [frame(big), frame(deep), frame(1)])
    expect(body).toMatchObject([
      { type: 'error', correlation_id: 'x', payload: { code: 'RT_008' } },
      { type: 'error', correlation_id: 'x', payload: { details: { max_depth: 32 } } },
      { type: 'ack' },
    ])
    expect((await post(server, ALICE, `[${Array(1001).fill('1')}]`)).body.error.details).toEqual({ max_frames: 1000 })
  })
})

describe('a frame that names no connection', () => {
  test.concurrent('says whom it is for, and is its user’s', async () => {
    await using server = await startTestServer()
    await using bob = await server.connect({ user: 'bob' })
    await using own = await server.connect({ user: 'alice' })
    const { status, body } = await post(server, ALICE, { type: 'ping' })
    expect([status, body.error.details]).toEqual([400, { field: 'to' }])
    await post(server, ALICE, { type: 'chat', to: { user_id: 'bob' }, payload: 1 })
    expect((await bob.next('chat')).sender).toEqual({ user_id: 'alice', device_id: 'd', username: 'Alice' })
    // There is no connection that sent it: all of the user's own get it.
    expect((await post(server, ALICE, { type: 'note', to: { user_id: 'alice' } })).body.payload.online).toBe(1)
    await own.next('note')
    expect(server.hub.registry.size).toBe(2)
  })

  test.concurrent('may go to a room where its user is a member, and to no other', async () => {
    await using server = await startTestServer({ config: { rooms: [{ pattern: 'open', publish: 'any' }] } })
    const to = async (room: string) => (await post(server, ALICE, { type: 'chat', to: { room } })).status
    expect([await to('lobby'), await to('open')]).toEqual([403, 200])
    await using member = await server.connect({ user: 'alice', rooms: ['lobby'] })
    expect(await to('lobby')).toBe(200)
    await member.next('chat')
  })

  test.concurrent('is delivered once for its id, whenever it is sent again', async () => {
    await using server = await startTestServer()
    await using bob = await server.connect({ user: 'bob' })
    const frame = { type: 'chat', id: 'once', to: { user_id: 'bob' }, payload: 1 }
    const first = await post(server, { user: 'alice' }, frame)
    const again = await post(server, { user: 'alice' }, frame)
    expect(again.body.payload).toEqual(first.body.payload)
    const another = await post(server, { user: 'alice', device: 'other' }, frame)
    expect(another.body.payload).not.toEqual(first.body.payload)
    expect((await bob.received()).map(({ payload }) => payload)).toEqual([1, 1])
  })

  test.concurrent('meets the limits of its user, whatever device it names', async () => {
    await using server = await startTestServer({ config: { limits: { messages_per_second: 1, burst: 5 } } })
    const frame = { type: 'chat', to: { user_id: 'bob' } }
    const send = async (device_id: string) => (await post(server, { user: 'alice' }, frame, { device_id })).status
    const statuses = []
    for (let n = 0; n < 30; n++) statuses.push(await send(`d${n % 3}`))
    expect(statuses.slice(0, 5)).toEqual([200, 200, 200, 200, 200])
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(15)
    expect((await post(server, { user: 'carol' }, frame)).status).toBe(200)
  })

  test.concurrent('passes the application’s middleware like any other', async () => {
    const app = tidings().use(async (context, next) => {
      if (context.payload === 'rude') throw new Error('no')
      await next()
    })
    await using server = await startTestServer({ app })
    const to = { user_id: 'bob' }
    expect((await post(server, ALICE, { type: 'chat', to, payload: 'rude' })).status).toBe(500)
    expect((await post(server, ALICE, { type: 'chat', to, payload: 'kind' })).status).toBe(200)
  })
})
