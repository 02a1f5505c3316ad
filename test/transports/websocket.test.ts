import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decodeMsgpack, encodeMsgpack } from '../../src/protocol/msgpack.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { names } from '../support/names.ts'
import { closing, frame, OPCODE, RawSocket } from '../support/raw.ts'

setDefaultTimeout(20_000)

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ config: { limits: { per_user: 0, bytes_per_second: 0, max_message_bytes: 4096 } } })
})
afterAll(() => server.stop())

/** An open connection, `welcome` taken. */
async function open(user: string, query = ''): Promise<RawSocket> {
  const raw = await RawSocket.upgrade(server.url, `/realtime?token=${await server.token({ user })}${query}`)
  await raw.frame()
  return raw
}

const LIMITS = { maxDepth: 0, maxKeys: 0 }

describe('frames', () => {
  test.concurrent('are taken in either format, and answered in the one that was negotiated', async () => {
    const { alice } = names()
    const ping = { type: 'ping', id: 'p' }
    for (const [query, opcode] of [
      ['', OPCODE.text],
      ['&format=msgpack', OPCODE.binary],
    ] as const) {
      using raw = await open(alice, query)
      for (const sent of [frame(OPCODE.text, JSON.stringify(ping)), frame(OPCODE.binary, encodeMsgpack(ping))]) {
        raw.write(sent)
        const answer = await raw.frame()
        expect(answer.opcode).toBe(opcode)
        const value =
          opcode === OPCODE.text ? JSON.parse(answer.payload.toString()) : decodeMsgpack(answer.payload, LIMITS)
        expect(value).toMatchObject({ type: 'pong', correlation_id: 'p' })
      }
    }
  })

  test.concurrent('may come in pieces, with control frames in between', async () => {
    using raw = await open(names().alice)
    const text = Buffer.from(JSON.stringify({ type: 'ping', id: 'p', payload: 'ü' }))
    raw.write(frame(OPCODE.text, text.subarray(0, 10), { fin: false }))
    raw.write(frame(OPCODE.ping, 'are you there?'))
    expect(await raw.frame()).toEqual({ fin: true, opcode: OPCODE.pong, payload: Buffer.from('are you there?') })
    raw.write(frame(OPCODE.continuation, text.subarray(10, 20), { fin: false }))
    raw.write(frame(OPCODE.continuation, text.subarray(20)))
    expect(await raw.json()).toMatchObject({ type: 'pong', correlation_id: 'p' })
  })

  test.concurrent('may come a byte at a time', async () => {
    using raw = await open(names().alice)
    raw.socket.setNoDelay(true)
    for (const byte of frame(OPCODE.text, JSON.stringify({ type: 'ping', id: 'slow' }))) {
      raw.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await raw.json()).toMatchObject({ type: 'pong', correlation_id: 'slow' })
  })

  test.concurrent('that are no frames are RT_004, and the connection stays', async () => {
    using raw = await open(names().alice)
    for (const bytes of [
      frame(OPCODE.text, ''),
      frame(OPCODE.text, 'hello'),
      frame(OPCODE.text, '{"type":"ping"'),
      frame(OPCODE.text, '[]'),
      frame(OPCODE.text, 'null'),
      frame(OPCODE.text, '"ping"'),
      frame(OPCODE.text, '{"type":"ping","payload":{"$bin":"no base64!"}}'),
      frame(OPCODE.binary, ''),
      frame(OPCODE.binary, [0xc1]),
      frame(OPCODE.binary, [0x93, 1]),
      frame(OPCODE.binary, [0xdf, 0xff, 0xff, 0xff, 0xff]),
      frame(OPCODE.binary, encodeMsgpack('ping')),
      frame(OPCODE.binary, [...encodeMsgpack({ type: 'ping' }), 0]),
    ]) {
      raw.write(bytes)
      expect(await raw.json()).toMatchObject({ type: 'error', payload: { code: 'RT_004' } })
    }
    raw.send({ type: 'ping' })
    expect(await raw.json()).toMatchObject({ type: 'pong' })
  })

  test.concurrent('as large as the limit are handled; one byte more ends the connection with 1009', async () => {
    const { alice } = names()
    using raw = await open(alice)
    const bare = JSON.stringify({ type: 'ping', payload: '' }).length
    raw.send({ type: 'ping', payload: 'x'.repeat(4096 - bare) })
    expect(await raw.json()).toMatchObject({ type: 'pong' })
    raw.send({ type: 'ping', payload: 'x'.repeat(4097 - bare) })
    expect((await raw.closeFrame()).code).toBe(1009)
    await server.logged('connection_closed', { user_id: alice })
  })

  test.concurrent('in pieces that add up to more than the limit end the connection with 1009', async () => {
    using raw = await open(names().alice)
    for (let piece = 0; piece < 5; piece++) {
      raw.write(frame(piece === 0 ? OPCODE.text : OPCODE.continuation, 'x'.repeat(1000), { fin: false }))
    }
    expect((await raw.closeFrame()).code).toBe(1009)
  })
})

describe('closing', () => {
  test.concurrent('is answered with the same code, and the log has it', async () => {
    for (const code of [1000, 1001, 3000, 4999]) {
      const { alice } = names()
      using raw = await open(alice)
      raw.write(frame(OPCODE.close, closing(code, 'bye')))
      expect((await raw.closeFrame()).code).toBe(code)
      expect(await server.logged('connection_closed', { user_id: alice })).toMatchObject({ code, reason: 'bye' })
    }
  })

  test.concurrent('without a code, by the end of the stream, and by a reset frees the session', async () => {
    const ends = {
      noCode: (raw: RawSocket) => raw.write(frame(OPCODE.close, '')),
      fin: (raw: RawSocket) => raw.finish(),
      reset: (raw: RawSocket) => raw.reset(),
    }
    for (const end of Object.values(ends)) {
      const { alice } = names()
      using raw = await open(alice)
      end(raw)
      await server.logged('connection_closed', { user_id: alice })
      expect(server.hub.registry.byUser.has(alice)).toBe(false)
    }
  })

  // A publish that was read before the client hung up is a publish.
  test.concurrent('right after a publish loses nothing of it', async () => {
    const { alice, bob } = names()
    await using listener = await server.connect({ user: bob })
    using raw = await open(alice)
    raw.send({ type: 'last', to: { user_id: bob }, payload: 'words' })
    raw.finish()
    expect((await listener.next('last')).payload).toBe('words')
  })
})
