import { heapStats } from 'bun:jsc'
import { expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { startServer } from '../../src/app.ts'
import { configFrom } from '../../src/config.ts'
import type { Hub } from '../../src/core/hub.ts'
import { silentLog } from '../../src/core/log.ts'
import { TEST_SECRET } from '../../src/testing/index.ts'
import { testConfig } from '../../src/testing/server.ts'
import { tokenFor } from '../../src/testing/tokens.ts'
import { RawSocket } from '../support/raw.ts'
import { hasFreeSeat } from '../support/seats.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(600_000)

/** Connections of one round; `TIDINGS_TEST_LONG=1` makes it what the promise names. */
const CONNECTIONS = process.env['TIDINGS_TEST_LONG'] ? 100_000 : 2000
const AT_ONCE = 50

async function objects(): Promise<number> {
  for (let round = 0; round < 5; round++) {
    Bun.gc(true)
    await Bun.sleep(10)
  }
  return heapStats().objectCount
}

async function held(hub: Hub) {
  const { registry, rooms, resumables } = hub
  return {
    connections: registry.size,
    users: registry.byUser.size,
    rooms: rooms.size,
    kept: resumables.size,
    seat: await hasFreeSeat(hub, 'a'),
  }
}

const NOTHING = { connections: 0, users: 0, rooms: 0, kept: 0, seat: true }

async function until200(raw: RawSocket): Promise<void> {
  await until(() => raw.text.includes('welcome') || raw.ended !== undefined)
}

/** What clients do that receive over HTTP, and how they go. */
const LIVES: readonly ((
  raw: RawSocket,
  get: (path: string) => string,
  post: (body: object) => string,
) => Promise<void>)[] = [
  async (raw, get) => {
    raw.write(get('/realtime/sse?rooms=lobby,own'))
    await until200(raw)
  },
  // Gone before it is let in.
  async (raw, get) => raw.write(get('/realtime/sse?rooms=lobby')),
  async (raw, get) => {
    raw.write(get('/realtime/poll?rooms=lobby'))
    await until200(raw)
  },
  async (raw, get) => {
    raw.write(get('/realtime/poll?rooms=lobby'))
    await until200(raw)
    const { connection_id, cursor } = JSON.parse(/\{.*\}/s.exec(raw.text)?.[0] ?? '{}')
    raw.write(get(`/realtime/poll?connection_id=${connection_id}&cursor=${cursor}&timeout=30`))
    await Bun.sleep(1)
  },
  async (raw, get) => raw.write(get('/realtime/poll')),
  async (raw, _, post) => raw.write(post({ type: 'chat', id: 'c', to: { user_id: 'a' }, ephemeral: true })),
]

test(`${CONNECTIONS} streams, polls and posts that end in every way leave nothing behind`, async () => {
  const config = configFrom(
    testConfig({
      limits: { per_user: 0, total: 0, messages_per_second: 0 },
      session: { resume_ms: 0 },
      store: { idempotency_ms: 0 },
      poll: { grace_ms: 50 },
    }),
    'development',
  )
  const { url, hub, stop } = await startServer(config, { mode: 'development', log: silentLog })
  const tokens = await Promise.all(['a', 'b', 'c', 'd'].map((user) => tokenFor(TEST_SECRET, { user })))
  const one = async (n: number): Promise<void> => {
    const head = `host: localhost\r\nauthorization: Bearer ${n % 10 === 9 ? 'bad' : tokens[n % 4]}\r\n`
    const get = (path: string) => `GET ${path} HTTP/1.1\r\n${head}\r\n`
    const post = (body: object) => {
      const text = JSON.stringify(body)
      return `POST /realtime/send HTTP/1.1\r\n${head}content-length: ${text.length}\r\n\r\n${text}`
    }
    const raw = await RawSocket.open(url)
    if (n % 10 === 9) raw.write(get('/realtime/sse'))
    else await LIVES[n % LIVES.length]?.(raw, get, post)
    if (n % 2 === 0) raw.finish()
    else raw.reset()
    raw.socket.destroy()
  }
  const churn = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => one(n + k)))
    }
    await until(() => hub.registry.size === 0)
  }
  await churn(CONNECTIONS / 2)
  const descriptors = readdirSync('/proc/self/fd').length
  const before = await objects()
  await churn(CONNECTIONS)
  const after = await objects()
  expect(await held(hub)).toEqual(NOTHING)
  await until(() => readdirSync('/proc/self/fd').length <= descriptors + AT_ONCE)
  // Less than one object for each of them.
  expect((after - before) / CONNECTIONS).toBeLessThan(1)
  await stop()
})
