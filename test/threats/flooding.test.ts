import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { deflateRawSync } from 'node:zlib'
import { startBinary } from '../support/binary.ts'
import { frame, knock, OPCODE, RawSocket, requestHead } from '../support/raw.ts'
import { connectWs } from '../support/ws-client.ts'

setDefaultTimeout(40_000)

/**
 * Milliseconds that others may wait for an answer, in the worst of a hundred, while somebody floods the server. Judged
 * where nothing else runs on the machine; elsewhere it is enough that they are answered at all.
 */
const P99_MS = process.env['TIDINGS_TEST_LONG'] ? 250 : Number.POSITIVE_INFINITY

type Server = Awaited<ReturnType<typeof startBinary>>

async function connect(server: Server, user: string) {
  return connectWs(server.url, { user }, await server.token({ user }))
}

/** The 99th percentile of round trips, one after the other, for as long as something lasts; some of them within it. */
async function roundTrips(client: Awaited<ReturnType<typeof connect>>, lasting: Promise<unknown>): Promise<number> {
  const times: number[] = []
  let over = false
  void lasting.finally(() => {
    over = true
  })
  let within = 0
  while (!over || times.length < 20) {
    const start = performance.now()
    expect((await client.request({ type: 'ping' })).type).toBe('pong')
    times.push(performance.now() - start)
    if (!over) within++
    // Under the limit of the witness's own frames.
    await Bun.sleep(25)
  }
  expect(within).toBeGreaterThan(0)
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0
}

// Danger: one client sends as fast as it can, and everybody else waits.
describe('a flood', () => {
  test('of frames ends with 4029 for who sends it, and others are answered all the while', async () => {
    await using server = await startBinary({ config: { limits: { messages_per_second: 50, burst: 100 } } })
    await using witness = await connect(server, 'witness')
    const burst = Buffer.concat(Array(500).fill(frame(OPCODE.text, '{"type":"ping","id":"x"}')))
    const flood = (async () => {
      // Back again and again, as somebody who means it.
      for (let round = 0; round < 10; round++) {
        const user = `attacker-${round}`
        using attacker = await RawSocket.upgrade(server.url, `/realtime?token=${await server.token({ user })}`)
        for (let n = 0; n < 100 && attacker.ended === undefined; n++) {
          attacker.write(burst)
          await new Promise((resolve) => setImmediate(resolve))
        }
        // From the log: who goes on writing into a closed socket has it reset, and may never read why.
        const line = await server.logged('connection_closed', { user_id: user })
        expect(line).toMatchObject({ code: 4029, reason: 'rate_limited' })
      }
    })()
    expect(await roundTrips(witness, flood)).toBeLessThan(P99_MS)
    await flood
  })

  test('of handshakes from one address is refused before a token is looked at', async () => {
    await using server = await startBinary({ config: { limits: { connects_per_second: 20 } } })
    await using witness = await connect(server, 'witness')
    const statuses: number[] = []
    const flood = (async () => {
      for (let batch = 0; batch < 20; batch++) {
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => knock(server.url, '/realtime?token=e30.e30.x')),
        )
        statuses.push(...answers.map(({ status }) => status))
      }
    })()
    expect(await roundTrips(witness, flood)).toBeLessThan(P99_MS)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(100)
    expect(statuses.every((status) => status === 429 || status === 401)).toBe(true)
  })
})

// Danger: a few kilobytes on the wire become gigabytes in memory.
describe('a message that grows when it is unpacked', () => {
  const bomb = deflateRawSync(Buffer.alloc(32 * 1024 * 1024, 0x20))
  const offer = { 'sec-websocket-extensions': 'permessage-deflate' }

  test('is a breach of the protocol where nothing is compressed', async () => {
    await using server = await startBinary()
    const path = `/realtime?token=${await server.token({ user: 'alice' })}`
    using raw = await RawSocket.open(server.url)
    raw.write(requestHead(path, offer))
    expect((await raw.head()).headers.get('sec-websocket-extensions')).toBeNull()
    raw.write(frame(OPCODE.text, bomb, { rsv: 4 }))
    expect((await raw.closeFrame()).code).toBe(1002)
  })

  test('is too large by what it is, not by what was sent, where frames are compressed', async () => {
    await using server = await startBinary({ config: { server: { compression: true } } })
    const path = `/realtime?token=${await server.token({ user: 'alice' })}`
    expect(bomb.length).toBeLessThan(65_536)
    const before = residentBytes(server.child.pid)
    for (let round = 0; round < 10; round++) {
      using raw = await RawSocket.upgrade(server.url, path, offer)
      raw.write(frame(OPCODE.text, bomb, { rsv: 4 }))
      // Either names its size or breaks the stream off; nothing of it reaches a handler.
      expect((await raw.closeFrame().catch(() => ({ code: 1006 }))).code).toBeOneOf([1006, 1007, 1009])
    }
    expect(residentBytes(server.child.pid) - before).toBeLessThan(100 * 1024 * 1024)
    await using witness = await connect(server, 'witness')
    expect((await witness.request({ type: 'ping' })).type).toBe('pong')
  })
})

function residentBytes(pid: number): number {
  const [, kilobytes = '0'] =
    /VmRSS:\s+(\d+)/.exec(new TextDecoder().decode(Bun.spawnSync(['cat', `/proc/${pid}/status`]).stdout)) ?? []
  return Number(kilobytes) * 1024
}

// Danger: connections that never say anything whole hold sockets until there are none left.
describe('a request that never ends', () => {
  const SECONDS = 15
  const slow: [name: string, start: string, trickle: string][] = [
    ['that has not begun', '', ''],
    ['whose head stops', 'GET /realtime HTTP/1.1\r\nHost: x\r\n', ''],
    ['whose head trickles', 'GET /realtime HTTP/1.1\r\nHost: x\r\nX-Pad: ', 'a'],
    ['whose body stops', 'POST /realtime/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{', ''],
    ['whose body trickles', 'POST /realtime/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n', 'a'],
    ['whose upgrade stops', 'GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n', ''],
  ]
  test(`is gone within ${SECONDS} seconds, and others come in meanwhile`, async () => {
    await using server = await startBinary()
    const ends = slow.map(async ([name, start, trickle]) => {
      using raw = await RawSocket.open(server.url)
      const began = performance.now()
      if (start !== '') raw.write(start)
      const timer = setInterval(() => {
        if (trickle !== '' && raw.ended === undefined) raw.write(trickle)
      }, 500)
      while (raw.ended === undefined && performance.now() - began < 30_000) await Bun.sleep(20)
      clearInterval(timer)
      return { name, ended: raw.ended !== undefined, inTime: performance.now() - began < SECONDS * 1000 }
    })
    const all = Promise.all(ends)
    await using witness = await connect(server, 'witness')
    expect((await witness.request({ type: 'ping' })).type).toBe('pong')
    expect(await all).toEqual(slow.map(([name]) => ({ name, ended: true, inTime: true })))
    expect((await witness.request({ type: 'ping' })).type).toBe('pong')
  })
})
