import { expect, setDefaultTimeout, test } from 'bun:test'
import { type ErrorEvent, EventSource } from 'eventsource'
import { type Frame, startTestServer, type TestServer } from '../../src/testing/index.ts'
import { Changes } from '../../src/testing/waiting.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

const KEPT = { rooms: [{ pattern: 'kept', history: { max_messages: 1000 } }] }

/** What a page would write, over an implementation that shares nothing with the server. */
class Page {
  readonly source: EventSource
  readonly frames: Frame[] = []
  readonly errors: ErrorEvent[] = []
  lastEventId = ''
  private readonly changes = new Changes()

  constructor(server: TestServer, query: Readonly<Record<string, string>>) {
    this.source = new EventSource(`${server.url}/realtime/sse?${new URLSearchParams(query)}`)
    this.source.onmessage = ({ data, lastEventId }) => {
      this.frames.push(JSON.parse(data))
      this.lastEventId = lastEventId
      this.changes.tell()
    }
    this.source.onerror = (error) => {
      this.errors.push(error)
      this.changes.tell()
    }
  }

  heard(type: string, count: number): Promise<Frame[]> {
    return this.changes.until(
      () => {
        const found = this.frames.filter((frame) => frame.type === type)
        return found.length >= count ? found : undefined
      },
      () => `heard only ${JSON.stringify(this.frames)}`,
    )
  }

  [Symbol.dispose](): void {
    this.source.close()
  }
}

test.concurrent('an EventSource that is cut comes back by itself and has everything once, in order', async () => {
  await using server = await startTestServer({ config: KEPT })
  const headers = { authorization: `Bearer ${await server.token({ user: 'alice' })}` }
  const response = await fetch(`${server.url}/realtime/ticket`, { method: 'POST', headers })
  const { ticket } = (await response.json()) as { ticket: string }
  using page = new Page(server, { ticket, rooms: 'kept' })
  await page.heard('welcome', 1)
  for (let n = 0; n < 100; n++) {
    const publishing = server.app.publish({ room: 'kept' }, 'chat', n)
    if (n === 50) for (const session of server.hub.registry.all()) server.hub.close(session, 1011, 'cut')
    await publishing
  }
  const chats = await page.heard('chat', 100)
  expect(chats.map(({ payload }) => payload)).toEqual([...Array(100).keys()])
  expect(page.lastEventId).toBe(chats.at(-1)?.cursor ?? '')
  const [, again] = await page.heard('welcome', 2)
  expect(again?.payload).toMatchObject({ user_id: 'alice', resume: { session: true, recovered: true } })
})

test.concurrent('an EventSource learns of a heartbeat nothing but its position', async () => {
  await using server = await startTestServer({ config: { ...KEPT, heartbeat: { interval_ms: 100 } } })
  using page = new Page(server, { token: await server.token({ user: 'alice' }), rooms: 'live' })
  await page.heard('welcome', 1)
  const { cursor } = await server.app.publish({ room: 'kept' }, 'chat', 'elsewhere')
  const [session] = server.hub.registry.all()
  const written = () => session?.wire.bufferedBytes() === 0
  // Two heartbeats later the first has been read.
  for (let n = 0; n < 2; n++) {
    const before = session?.lastPing ?? 0
    await until(() => (session?.lastPing ?? 0) > before && written())
  }
  // An event without an id is given with the last one that there was.
  await server.app.publish({ room: 'live' }, 'typing', 1)
  await page.heard('typing', 1)
  expect(page.frames.map(({ type }) => type)).toEqual(['welcome', 'typing'])
  expect(Number(page.lastEventId)).toBeGreaterThanOrEqual(Number(cursor))
})

test.concurrent('an EventSource gives up for good where it is refused', async () => {
  await using server = await startTestServer()
  using page = new Page(server, { token: await server.token({ user: 'alice', expiresIn: -1 }) })
  await until(() => page.source.readyState === page.source.CLOSED)
  expect(page.errors.map(({ code }) => code)).toEqual([401])
})
