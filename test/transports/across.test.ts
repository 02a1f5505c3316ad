import { expect, setDefaultTimeout, test } from 'bun:test'
import { type Frame, startTestServer, type TestClient } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

setDefaultTimeout(60_000)

const ROOMS = ['kept:a', 'kept:b', 'kept:c']

/** Reads until something stored has come that fulfils the condition; answers with everything that moves the position. */
async function readUntil(client: TestClient, done: (frame: Frame) => boolean): Promise<Frame[]> {
  const frames: Frame[] = []
  for (;;) {
    const frame = await client.next()
    if (frame.cursor === undefined || frame.type !== 'chat') continue
    frames.push(frame)
    if (done(frame)) return frames
  }
}

// With one cursor a client may go from any transport to any other, in the middle of whatever is being published.
test('a client that changes its transport all the time receives everything once and in order', async () => {
  const limits = { messages_per_second: 0, bytes_per_second: 0, per_user: 0 }
  await using server = await startTestServer({
    config: {
      limits,
      inbox: { max_messages: 10_000 },
      rooms: [{ pattern: 'kept:*', history: { max_messages: 10_000 } }],
    },
  })
  const first = await server.connect({ user: 'alice', device: 'd', rooms: ROOMS })
  let position = String(payloadOf(first.welcome)['cursor'])
  await first.close()
  const total = 1200
  let published = 0
  const acks: string[] = []
  const publisher = (async () => {
    while (published < total) {
      const n = published++
      const to = n % 4 === 3 ? { user_id: 'alice' } : { room: ROOMS[n % 3] as string }
      acks.push((await server.app.publish(to, 'chat', n)).cursor ?? '')
      if (n % 10 === 0) await Bun.sleep(1)
    }
  })()
  const transports = ['websocket', 'sse', 'poll'] as const
  const heard: Frame[] = []
  for (let turn = 0; heard.at(-1)?.payload !== total - 1; turn++) {
    const transport = transports[turn % 3] as (typeof transports)[number]
    const client = await server.connect({
      user: 'alice',
      device: 'd',
      transport,
      rooms: ROOMS,
      query: { cursor: position },
    })
    expect(payloadOf(client.welcome)['resume']).toMatchObject({ recovered: true, gaps: [] })
    const stopAt = heard.length + 60 + turn * 7
    let count = heard.length
    const got = await readUntil(client, ({ payload }) => ++count === stopAt || payload === total - 1)
    heard.push(...got)
    position = String(got.at(-1)?.cursor)
    void client.close()
  }
  await publisher
  expect(heard.map(({ payload }) => payload)).toEqual([...Array(total).keys()])
  expect(heard.map(({ cursor }) => cursor)).toEqual(acks)
})

// An EventSource and a poller of the same user beside a WebSocket: one order for all.
test('every transport hears the messages of a room and of a user in the same order', async () => {
  const limits = { messages_per_second: 0, bytes_per_second: 0, per_user: 0 }
  await using server = await startTestServer({
    config: { limits, rooms: [{ pattern: 'kept:*', history: { max_messages: 10_000 } }] },
  })
  const clients = await Promise.all(
    (['websocket', 'sse', 'poll'] as const).map((transport) =>
      server.connect({ user: 'alice', device: transport, transport, rooms: ROOMS }),
    ),
  )
  const senders = await Promise.all(['x', 'y', 'z'].map((user) => server.connect({ user, rooms: ROOMS })))
  const each = 200
  for (let n = 0; n < each; n++) {
    for (const [index, sender] of senders.entries()) {
      const to = n % 2 === 0 ? { room: ROOMS[(n + index) % 3] } : { user_id: 'alice' }
      sender.send({ type: 'chat', id: `${index}-${n}`, to, payload: [index, n] })
    }
  }
  const heard = await Promise.all(
    clients.map(async (client) => {
      const frames: Frame[] = []
      while (frames.length < each * senders.length) frames.push(await client.next('chat'))
      return frames
    }),
  )
  const [reference, ...others] = heard.map((frames) => frames.map(({ cursor, payload }) => [cursor, payload]))
  for (const other of others) expect(other).toEqual(reference ?? [])
  const cursors = (reference ?? []).map(([cursor]) => Number(cursor))
  expect(cursors).toEqual(cursors.toSorted((a, b) => a - b))
})

// What a room drops while a client comes back is the hardest to notice: every hole that the client sees must have been said.
test('in a busy room that keeps little, a client that changes its transport is told of every hole', async () => {
  const limits = { messages_per_second: 0, bytes_per_second: 0, per_user: 0 }
  await using server = await startTestServer({
    config: { limits, rooms: [{ pattern: '*', history: { max_messages: 5 } }] },
  })
  const total = 3000
  let published = 0
  const publisher = (async () => {
    while (published < total) {
      await server.app.publish({ room: 'busy' }, 'chat', published++)
      if (published % 3 === 0) await Bun.sleep(1)
    }
  })()
  const transports = ['poll', 'sse', 'websocket'] as const
  const unsaid: string[] = []
  let position = '0'
  let last = -1
  for (let turn = 0; last < total - 1; turn++) {
    const transport = transports[turn % 3] as (typeof transports)[number]
    const who = { user: 'alice', device: 'd', transport, rooms: ['busy'] }
    const client = await server.connect({ ...who, query: { cursor: position } })
    const { gaps } = payloadOf(client.welcome)['resume'] as { gaps: { room?: string }[] }
    let isSaid = gaps.some(({ room }) => room === 'busy')
    for (let left = 1 + (turn % 5); left > 0 && last < total - 1; ) {
      const { type, payload, cursor } = await client.next()
      if (type === 'gap') isSaid = true
      if (type !== 'chat') continue
      if (payload !== last + 1 && !isSaid) unsaid.push(`${transport}: ${last} and then ${payload}`)
      isSaid = false
      last = Number(payload)
      position = String(cursor)
      left--
    }
    void client.close()
  }
  await publisher
  expect(unsaid).toEqual([])
})
