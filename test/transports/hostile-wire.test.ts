import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { encodeMsgpack } from '../../src/protocol/msgpack.ts'
import { startTestServer, type TestClient, type TestServer } from '../../src/testing/index.ts'
import app from '../contracts/app.ts'
import { names } from '../support/names.ts'
import { random } from '../support/random.ts'
import { closing, frame, OPCODE, RawSocket, requestHead } from '../support/raw.ts'

setDefaultTimeout(30_000)

let server: TestServer
let witness: TestClient
beforeAll(async () => {
  const config = { limits: { per_user: 0, messages_per_second: 0, bytes_per_second: 0 } }
  server = await startTestServer({ app, config })
  witness = await server.connect({ user: 'witness' })
})
afterAll(() => server.stop())

/** Whether the server is there and minds its business. */
async function isWell(): Promise<boolean> {
  return (await witness.request({ type: 'echo', payload: 1 })).type === 'ack'
}

async function open(user: string): Promise<RawSocket> {
  const raw = await RawSocket.upgrade(server.url, `/realtime?token=${await server.token({ user })}`)
  await raw.frame()
  return raw
}

// Whoever speaks TCP can send anything. It must end with a code, for that connection alone.
describe('a breach of the WebSocket protocol ends the connection and nothing else', () => {
  const hello = JSON.stringify({ type: 'ping' })
  const breaches: [name: string, bytes: Uint8Array, codes: number[]][] = [
    ['a reserved opcode', frame(3, hello), [1002]],
    ['a reserved control opcode', frame(11, hello), [1002]],
    ['a reserved bit', frame(OPCODE.text, hello, { rsv: 4 }), [1002]],
    ['all reserved bits', frame(OPCODE.text, hello, { rsv: 7 }), [1002]],
    ['a frame that is not masked', frame(OPCODE.text, hello, { masked: false }), [1002]],
    ['a control frame in pieces', frame(OPCODE.ping, 'x', { fin: false }), [1002]],
    ['a control frame that is too long', frame(OPCODE.ping, 'x'.repeat(126)), [1002]],
    ['a continuation of nothing', frame(OPCODE.continuation, hello), [1002]],
    [
      'a message inside of another',
      Buffer.concat([frame(OPCODE.text, hello, { fin: false }), frame(OPCODE.text, hello)]),
      [1002],
    ],
    ['text that is no UTF-8', frame(OPCODE.text, [0xff, 0xfe, 0x7b]), [1007]],
    ['text that ends within a character', frame(OPCODE.text, [0x7b, 0xe2, 0x82]), [1007]],
    ['a length of 2^63', frame(OPCODE.text, 'x', { length: 2n ** 63n }), [1002, 1009]],
    ['a length of 2^40', frame(OPCODE.text, 'x', { length: 2n ** 40n }), [1009]],
    ['a close code that nobody may send', frame(OPCODE.close, closing(1005)), [1002]],
    ['a close code below all', frame(OPCODE.close, closing(999)), [1002]],
    ['a close of one byte', frame(OPCODE.close, [3]), [1002]],
    ['a close reason that is no UTF-8', frame(OPCODE.close, closing(1000, Buffer.from([0xff]))), [1002, 1007]],
  ]
  for (const [name, bytes, codes] of breaches) {
    test.concurrent(name, async () => {
      const { alice } = names()
      using raw = await open(alice)
      raw.write(bytes)
      expect(codes).toContain((await raw.closeFrame()).code)
      await raw.gone()
      await server.logged('connection_closed', { user_id: alice })
      expect(server.hub.registry.byUser.has(alice)).toBe(false)
      expect(await isWell()).toBe(true)
    })
  }
})

describe('what never ends', () => {
  test.concurrent('reaches no handler: a message whose last piece does not come', async () => {
    const { alice, bob } = names()
    await using listener = await server.connect({ user: bob })
    using raw = await open(alice)
    const publish = JSON.stringify({ type: 'half', to: { user_id: bob } })
    raw.write(frame(OPCODE.text, publish, { fin: false }))
    raw.write(frame(OPCODE.ping, ''))
    await raw.frame()
    raw.finish()
    await server.logged('connection_closed', { user_id: alice })
    expect(await listener.received()).toEqual([])
  })

  test.concurrent('and is cut within a frame frees the session', async () => {
    const { alice } = names()
    using raw = await open(alice)
    raw.write(frame(OPCODE.text, JSON.stringify({ type: 'echo', payload: 'x'.repeat(1000) })).subarray(0, 500))
    raw.reset()
    await server.logged('connection_closed', { user_id: alice })
  })
})

test('a thousand handshakes that are cut at every point leave nothing', async () => {
  const { alice } = names()
  const head = requestHead(`/realtime?token=${await server.token({ user: alice })}`)
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const raw = await RawSocket.open(server.url)
        raw.write(head.slice(0, Math.floor((head.length * (batch * 50 + n)) / 1000) + 1))
        if (n % 2) await new Promise((resolve) => setImmediate(resolve))
        if (n % 3) raw.reset()
        else raw.socket.destroy()
      }),
    )
  }
  expect(await isWell()).toBe(true)
  const deadline = performance.now() + 10_000
  while (server.hub.registry.byUser.has(alice) && performance.now() < deadline) await Bun.sleep(5)
  expect(server.hub.registry.byUser.count(alice)).toBe(0)
})

// What a decoder lets through half-read would be handled as something that nobody sent.
describe('frames that were changed at random', () => {
  const seed = Number(process.env['TIDINGS_TEST_SEED'] ?? Date.now() % 2 ** 31)
  const good = {
    type: 'echo',
    id: 'id-1',
    to: { room: 'lobby' },
    payload: { text: 'hi ü', list: [1, 2.5, null, true, { deep: [[]] }], bytes: new Uint8Array([1, 2, 3]) },
  }
  const formats: [string, number, Uint8Array][] = [
    [
      'JSON',
      OPCODE.text,
      Buffer.from(JSON.stringify({ ...good, payload: { ...good.payload, bytes: { $bin: 'AQID' } } })),
    ],
    ['MessagePack', OPCODE.binary, encodeMsgpack(good)],
  ]
  for (const [name, opcode, bytes] of formats) {
    test.concurrent(`${name} is answered or refused, never more than once, and the connection stays (seed ${seed})`, async () => {
      const next = random(seed)
      const { alice } = names()
      using raw = await open(alice)
      const rounds = 1500
      let sent = 0
      const errors = new Set<string>()
      for (let round = 0; round < rounds; round++) {
        const mutated = mutate(bytes, next)
        // What is no UTF-8 in a text frame is a breach below us.
        if (opcode === OPCODE.text && !isUtf8(mutated)) continue
        raw.write(frame(opcode, mutated))
        sent++
      }
      raw.write(frame(OPCODE.text, JSON.stringify({ type: 'ping', id: 'sentinel' })))
      let answers = 0
      for (;;) {
        const answer = await raw.json()
        if (answer['correlation_id'] === 'sentinel') break
        answers++
        if (answer['type'] === 'error') errors.add((answer['payload'] as { code: string }).code)
        else expect(answer['type']).toBeOneOf(['ack', 'pong'])
      }
      expect(answers).toBeLessThanOrEqual(sent)
      expect([...errors].filter((code) => !['RT_003', 'RT_004', 'RT_005'].includes(code))).toEqual([])
      expect(await isWell()).toBe(true)
    })
  }
})

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** One to four changes: a byte flipped, removed, doubled, or a stretch repeated or cut. */
function mutate(bytes: Uint8Array, next: (below: number) => number): Uint8Array {
  let changed: Buffer = Buffer.from(bytes)
  for (let count = 1 + next(4); count > 0; count--) {
    const at = next(changed.length)
    switch (next(5)) {
      case 0:
        changed[at] = (changed[at] ?? 0) ^ (1 << next(8))
        break
      case 1:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1)])
        break
      case 2:
        changed = Buffer.concat([changed.subarray(0, at), Buffer.from([next(256)]), changed.subarray(at)])
        break
      case 3:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(next(changed.length))])
        break
      default:
        changed = changed.subarray(0, at)
    }
    if (changed.length === 0) return changed
  }
  return changed
}
