import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Frame, startTestServer, type TestServer } from '../../src/testing/index.ts'
import type { PollResult } from '../../src/testing/poll.ts'
import { RawSocket } from '../support/raw.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(60_000)

const CONFIG = {
  limits: { max_pending_bytes: 262_144, messages_per_second: 0 },
  rooms: [
    { pattern: 'kept*', slow_consumer: 'latest_only', history: { max_messages: 10_000 } },
    { pattern: 'live*', slow_consumer: 'latest_only' },
    { pattern: 'strict' },
  ],
} as const

/** Publishes big messages until the user's connection has so many bytes waiting that it lags. */
async function publishUntilItLags(server: TestServer, room: string, from = 0): Promise<number> {
  const [session] = server.hub.registry.byUser.get('slow')
  const waiting = () => session?.wire.bufferedBytes() ?? 0
  let n = from
  let before = -1
  // A buffer that grows no more, although messages go on, is that of a member that is sent nothing.
  while (waiting() === 0 || waiting() !== before) {
    before = waiting()
    for (let burst = 0; burst < 12; burst++) await server.app.publish({ room }, 'tick', `${n++} ${'x'.repeat(50_000)}`)
    await Bun.sleep(150)
    if (n > 2000) throw new Error('it never lagged')
  }
  return n
}

const numbersOf = (frames: readonly Frame[]) =>
  frames.filter(({ type }) => type === 'tick').map(({ payload }) => Number.parseInt(String(payload), 10))

/** A client over either transport that stops reading, and then reads everything. */
async function sleeper(server: TestServer, transport: 'websocket' | 'sse', room: string) {
  const token = await server.token({ user: 'slow' })
  if (transport === 'websocket') {
    const raw = await RawSocket.upgrade(server.url, `/realtime?rooms=${room}&token=${token}`)
    await raw.frame()
    const frames: Frame[] = []
    return {
      raw,
      /** Reads until a frame of this type. */
      async until(type: string): Promise<Frame[]> {
        for (;;) {
          const frame = (await raw.json()) as Frame
          frames.push(frame)
          if (frame.type === type) return frames
        }
      },
    }
  }
  const raw = await RawSocket.open(server.url)
  raw.write(`GET /realtime/sse?rooms=${room}&token=${token} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await until(() => raw.text.includes('welcome'))
  return {
    raw,
    async until(type: string): Promise<Frame[]> {
      await until(() => raw.text.includes(`"type":"${type}"`))
      const events = raw.text.replace(/\r\n[0-9a-f]+\r\n/g, '').split('\n')
      return events.flatMap((line) =>
        line.startsWith('data: ') && line.endsWith('}') ? [JSON.parse(line.slice(6))] : [],
      )
    },
  }
}

describe.each(['websocket', 'sse'] as const)(
  'over %s, a slow member of a room where only the newest counts',
  (transport) => {
    test.each(['kept', 'live'])('skips to the newest of %s, is told so, and goes on', async (room) => {
      await using server = await startTestServer({ config: CONFIG })
      await using healthy = await server.connect({ user: 'bob', rooms: [room] })
      const slow = await sleeper(server, transport, room)
      slow.raw.socket.pause()
      const sent = await publishUntilItLags(server, room)
      expect(server.hub.registry.byUser.count('slow')).toBe(1)
      slow.raw.socket.resume()
      const [session] = server.hub.registry.byUser.get('slow')
      await until(() => session?.subscriptions.every(({ slice }) => slice >= -1) ?? false)
      await server.app.publish({ room }, 'after', 1)
      const frames = await slow.until('after')
      const types = frames.map(({ type }) => type)
      const lagged = types.indexOf('lagged')
      const heard = numbersOf(frames.slice(0, lagged))
      expect(heard).toEqual([...Array(heard.length).keys()])
      // What came is the beginning, and then the very last.
      expect(numbersOf(frames.slice(lagged))).toEqual([sent - 1])
      expect(heard.length).toBeLessThan(sent - 1)
      const { payload, cursor } = frames[lagged] as Frame
      expect([cursor, payload]).toEqual([
        undefined,
        { room, from: expect.stringMatching(/^\d{16}$/), to: expect.stringMatching(/^\d{16}$/) },
      ])
      const last = frames[lagged + 1] as Frame
      if (room === 'kept') expect((payload as { to: string }).to).toBe(last.cursor ?? '')
      const seen = []
      for (let n = 0; n < sent; n++) seen.push(await healthy.next('tick'))
      expect(numbersOf(seen)).toEqual([...Array(sent).keys()])
    })
  },
)

test('who does not keep up elsewhere either is cut off all the same', async () => {
  await using server = await startTestServer({ config: CONFIG })
  const slow = await sleeper(server, 'websocket', 'live,strict')
  slow.raw.socket.pause()
  await publishUntilItLags(server, 'live')
  const cut = server.logged('connection_closed', { user_id: 'slow', reason: 'slow_consumer' })
  let isCut = false
  void cut.then(() => {
    isCut = true
  })
  for (let n = 0; !isCut && n < 500; n++) {
    await server.app.publish({ room: 'strict' }, 'chat', 'x'.repeat(50_000))
    await Bun.sleep(1)
  }
  expect((await cut)['code']).toBe(4008)
})

test('a member that lags when it leaves, or goes, leaves nothing behind', async () => {
  await using server = await startTestServer({ config: CONFIG })
  for (const end of ['leave', 'close'] as const) {
    const slow = await sleeper(server, 'websocket', 'live')
    slow.raw.socket.pause()
    await publishUntilItLags(server, 'live')
    const [session] = server.hub.registry.byUser.get('slow')
    if (session === undefined) throw new Error('it is gone')
    if (end === 'leave') await server.hub.rooms.leave(session, 'live')
    server.hub.close(session, 1011, 'over')
    expect(server.hub.rooms.get('live')).toBeUndefined()
    await server.app.publish({ room: 'live' }, 'tick', 0)
  }
})

// Whoever polls reads from the log what a room keeps: it was told that it had skipped what it got.
test('over poll, only what is kept nowhere is skipped', async () => {
  await using server = await startTestServer({ config: CONFIG })
  const token = await server.token({ user: 'slow', device: 'd' })
  const fetchPoll = async (query: Readonly<Record<string, string>>): Promise<PollResult> => {
    const address = `${server.url}/realtime/poll?${new URLSearchParams({ token, timeout: '1', ...query })}`
    return (await fetch(address)).json() as Promise<PollResult>
  }
  let { connection_id, cursor } = await fetchPoll({ rooms: 'live,kept' })
  const count = 30
  for (let n = 0; n < count; n++) {
    for (const room of ['live', 'kept']) await server.app.publish({ room }, 'tick', `${n} ${'x'.repeat(20_000)}`)
  }
  const [session] = server.hub.registry.byUser.get('slow')
  await until(() => session?.subscriptions.some(({ slice }) => slice < -1) ?? false)
  await server.app.publish({ room: 'live' }, 'tick', `${count} the newest`)

  const frames: Frame[] = []
  while (!frames.some(({ payload }) => String(payload).endsWith('the newest'))) {
    const answer = await fetchPoll({ connection_id, cursor })
    expect(answer.connection_id).toBe(connection_id)
    ;({ connection_id, cursor } = answer)
    frames.push(...answer.messages)
  }
  const lagged = frames.filter(({ type }) => type === 'lagged')
  expect(lagged.map(({ payload }) => payload)).toEqual([expect.objectContaining({ room: 'live' })])
  expect(numbersOf(frames.filter(({ room }) => room === 'kept'))).toEqual([...Array(count).keys()])
})
