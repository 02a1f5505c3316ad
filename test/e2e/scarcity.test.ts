import { expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { TestClient } from '../../src/testing/index.ts'
import { startBinary } from '../support/binary.ts'
import { knock, RawSocket } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { connectWs } from '../support/ws-client.ts'

setDefaultTimeout(60_000)

type Server = Awaited<ReturnType<typeof startBinary>>

/** Milliseconds of a clock tick. */
const TICK_MS = 10

/** Clock ticks of the processor that a process has used. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

async function connect(server: Server, user: string, query = ''): Promise<TestClient> {
  const rooms = query === '' ? undefined : [query]
  return connectWs(server.url, { user, ...(rooms && { rooms }) }, await server.token({ user }))
}

test('with few files to open, who comes too many is told so, and the rest goes on', async () => {
  const limits = { per_user: 0, per_ip: 0, connects_per_second: 0 }
  await using server = await startBinary({ openFiles: 200, config: { limits } })
  const token = await server.token({ user: 'crowd' })
  const sockets: RawSocket[] = []
  let refused = 0
  for (let n = 0; n < 190 && refused === 0; n++) {
    const raw = await RawSocket.upgrade(server.url, `/realtime?token=${token}`).catch(() => undefined)
    if (raw === undefined) refused++
    else sockets.push(raw)
  }
  // Nine tenths of the files, and an answer for the next.
  expect(sockets.length).toBe(180)
  const { status, body } = await knock(server.url, `/realtime?token=${token}`)
  expect([status, body.error.message]).toEqual([503, 'The server is full'])
  for (const raw of sockets) raw.reset()
  await until(async () => {
    const client = await connect(server, 'late').catch(() => undefined)
    await client?.close()
    return client !== undefined
  })
})

test('with no file left to open, the server does not spin, and recovers by itself', async () => {
  const limits = { per_user: 0, per_ip: 0, connects_per_second: 0 }
  await using server = await startBinary({ openFiles: 120, config: { limits } })
  await using witness = await connect(server, 'witness')
  const idle = await Promise.all(Array.from({ length: 300 }, () => RawSocket.open(server.url)))
  const [began, before] = [performance.now(), ticks(server.child.pid)]
  for (let n = 0; n < 20; n++) {
    expect((await witness.request({ type: 'ping' })).type).toBe('pong')
    await Bun.sleep(50)
  }
  // A loop that accepts in vain would have used all of the time.
  const passed = (performance.now() - began) / TICK_MS
  expect(ticks(server.child.pid) - before).toBeLessThan(passed / 2)
  for (const raw of idle) raw.reset()
  await until(async () => {
    const client = await connect(server, 'late').catch(() => undefined)
    await client?.close()
    return client !== undefined
  })
})

test('a third of a room that stops reading is closed with its code; the others miss nothing, and memory is bounded', async () => {
  const limits = { per_user: 0, per_ip: 0, messages_per_second: 0, bytes_per_second: 0, connects_per_second: 0 }
  await using server = await startBinary({ config: { limits } })
  const readers = await Promise.all(Array.from({ length: 20 }, (_, n) => connect(server, `reader-${n}`, 'hall')))
  const slow = await Promise.all(
    Array.from({ length: 10 }, async (_, n) => {
      const token = await server.token({ user: `slow-${n}` })
      const raw = await RawSocket.upgrade(server.url, `/realtime?rooms=hall&token=${token}`)
      await raw.frame()
      raw.pause()
      return raw
    }),
  )
  await using sender = await connect(server, 'sender', 'hall')
  const payload = 'x'.repeat(60_000)
  const before = residentBytes(server.child.pid)
  const closed = () => server.lines.filter(({ event, code }) => event === 'connection_closed' && code === 4008).length
  let sent = 0
  while (closed() < slow.length && sent < 1000) {
    expect((await sender.request({ type: 'bulk', to: { room: 'hall' }, payload })).type).toBe('ack')
    sent++
  }
  expect(closed()).toBe(slow.length)
  for (const reader of readers) {
    const bulk = (await reader.received()).filter(({ type }) => type === 'bulk')
    expect(bulk).toHaveLength(sent)
    await reader.close()
  }
  // A mebibyte for each that was cut off, and as much again for the garbage of the messages.
  expect(residentBytes(server.child.pid) - before).toBeLessThan(150 * 1024 * 1024)
  for (const raw of slow) raw.reset()
})
