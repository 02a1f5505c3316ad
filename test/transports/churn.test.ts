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
import { addressOf, connectWebSocket } from '../../src/testing/websocket.ts'
import { closing, frame, OPCODE, RawSocket, requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(600_000)

/** Connections of one round; `TIDINGS_TEST_LONG=1` makes it what the promise names. */
const CONNECTIONS = process.env['TIDINGS_TEST_LONG'] ? 100_000 : 10_000
const AT_ONCE = 50

type Way = (raw: RawSocket) => Promise<void> | void

/** How connections begin and end. */
const WAYS: readonly Way[] = [
  async (raw) => {
    raw.write(frame(OPCODE.close, closing(1000)))
    await raw.closeFrame()
  },
  (raw) => raw.finish(),
  (raw) => raw.reset(),
]

/** What the process holds for connections, besides memory. */
function held({ registry, rooms, delivery, speaker }: Hub) {
  return {
    connections: registry.size,
    users: registry.byUser.size,
    devices: registry.byDevice.size,
    addresses: registry.byAddress.size,
    rooms: rooms.size,
    everybody: delivery.everybody.size,
    asks: speaker.asks.size,
  }
}

const NOTHING = { connections: 0, users: 0, devices: 0, addresses: 0, rooms: 0, everybody: 0, asks: 0 }

async function objects(): Promise<number> {
  for (let round = 0; round < 5; round++) {
    Bun.gc(true)
    await Bun.sleep(10)
  }
  return heapStats().objectCount
}

test(`${CONNECTIONS} connects and closes, in every way, leave nothing behind`, async () => {
  const config = configFrom(
    testConfig({
      limits: { per_user: 0, total: 0 },
      // What is kept for those who come back is kept for a while: here for nobody.
      session: { resume_ms: 0 },
      store: { idempotency_ms: 0 },
      rooms: [{ pattern: 'group:*', exclusive: true }],
    }),
    'development',
  )
  // With a log that is kept nothing would ever be freed.
  const { url, hub, stop } = await startServer(config, { mode: 'development', log: silentLog })
  const token = (user: string) => tokenFor(TEST_SECRET, { user })
  const tokens = await Promise.all(['a', 'b', 'c', 'd'].map(token))
  // One that stays, so that topics and rooms go on existing while others come and go.
  const who = { user: 'stays', rooms: ['lobby'] }
  const stays = await connectWebSocket(addressOf(url, who, await token('stays')), who)

  const one = async (n: number): Promise<void> => {
    using raw = await RawSocket.open(url)
    const token = n % 10 === 9 ? 'bad' : tokens[n % tokens.length]
    raw.write(requestHead(`/realtime?token=${token}&rooms=lobby,group:${n % 7},own-${n}&device_id=d${n % 50}`))
    if (n % 10 === 8) return
    const { status } = await raw.head()
    if (status !== 101) return
    await raw.frame()
    if (n % 3 === 0) {
      raw.send({ type: 'join_room', id: 'j', payload: { room: `late-${n}` } })
      raw.send({ type: 'note', id: 'n', to: { room: 'lobby' } })
      raw.send({ type: 'set_room_state', payload: { room: 'lobby', patch: { n } } })
    }
    await WAYS[n % WAYS.length]?.(raw)
  }
  const churn = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => one(n + k)))
    }
    await until(() => hub.registry.size === 1)
    await stays.received()
  }

  await churn(CONNECTIONS / 2)
  const descriptors = readdirSync('/proc/self/fd').length
  const before = await objects()
  await churn(CONNECTIONS)
  const after = await objects()
  expect(held(hub)).toEqual({
    ...NOTHING,
    connections: 1,
    users: 1,
    devices: 1,
    addresses: 1,
    rooms: 1,
    everybody: 1,
  })
  // The runtime keeps closed sockets for a moment.
  await until(() => readdirSync('/proc/self/fd').length <= descriptors + AT_ONCE)
  // Less than one object for each of them.
  expect((after - before) / CONNECTIONS).toBeLessThan(1)
  await stays.close()
  await until(() => hub.registry.size === 0)
  expect(held(hub)).toEqual(NOTHING)
  await stop()
})
