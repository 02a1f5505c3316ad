import { describe, expect, test } from 'bun:test'
import {
  ACK,
  clientFrame,
  FrameReader,
  MESSAGE,
  MESSAGE_TYPE,
  OPCODE_CLOSE,
  OPCODE_PING,
  PONG,
  signatureOf,
} from '../../../scripts/bench/frames.ts'

const SMALL = JSON.stringify({ type: 'ack', payload: {} })
const MEDIUM = JSON.stringify({ type: MESSAGE_TYPE, payload: 'x'.repeat(300) })
const LARGE = JSON.stringify({ type: MESSAGE_TYPE, payload: 'y'.repeat(70_000) })

describe('the frame reader', () => {
  test('counts frames of all three length forms with their sizes', () => {
    expect(readInPieces(Buffer.concat([SMALL, MEDIUM, LARGE].map(serverText)), Infinity)).toEqual([
      [ACK, SMALL.length],
      [MESSAGE, MEDIUM.length],
      [MESSAGE, LARGE.length],
    ])
  })

  test.each([1, 2, 3, 7, 13, 14, 64, 309])('counts the same when TCP cuts the stream every %i bytes', (piece) => {
    const stream = Buffer.concat([SMALL, MEDIUM, SMALL, MEDIUM].map(serverText))
    expect(readInPieces(stream, piece)).toEqual([
      [ACK, SMALL.length],
      [MESSAGE, MEDIUM.length],
      [ACK, SMALL.length],
      [MESSAGE, MEDIUM.length],
    ])
  })

  test('tells a frame when its last byte is there, not before', () => {
    const seen: number[] = []
    const reader = new FrameReader({ frame: (signature) => seen.push(signature), control() {} })
    const bytes = serverText(MEDIUM)
    reader.read(bytes.subarray(0, -1))
    expect(seen).toEqual([])
    reader.read(bytes.subarray(-1))
    expect(seen).toEqual([MESSAGE])
  })

  test('hands out control frames with their payload between data frames, also in pieces', () => {
    const ping = serverFrame(OPCODE_PING, Buffer.from('25'))
    const close = serverFrame(OPCODE_CLOSE, Buffer.from([0x03, 0xf4]))
    for (const piece of [1, 5, Infinity]) {
      const controls: [number, string][] = []
      const frames = readInPieces(Buffer.concat([ping, serverText(SMALL), close]), piece, (opcode, payload) =>
        controls.push([opcode, Buffer.from(payload).toString('hex')]),
      )
      expect(controls).toEqual([
        [OPCODE_PING, '3235'],
        [OPCODE_CLOSE, '03f4'],
      ])
      expect(frames).toEqual([[ACK, SMALL.length]])
    }
  })

  test('tells presence and positions from pongs, and a tiny frame from all of them', () => {
    expect(signatureOf('presence')).not.toBe(PONG)
    expect(signatureOf('position')).not.toBe(PONG)
    expect(readInPieces(serverText('{}'), Infinity)).toEqual([[0, 2]])
  })

  test('refuses masked frames, fragments and compressed frames: they would be counted wrongly', () => {
    expect(() => readInPieces(Buffer.from(clientFrame(MEDIUM)), Infinity)).toThrow('masked')
    const fragment = serverText(MEDIUM)
    fragment[0] = 0x01
    expect(() => readInPieces(fragment, Infinity)).toThrow('0x1')
    const compressed = serverText(MEDIUM)
    compressed[0] = 0xc1
    expect(() => readInPieces(compressed, Infinity)).toThrow('0xc1')
  })
})

describe('a client frame', () => {
  test('is masked with a key of zeros, so that its payload stands as it is', () => {
    expect([...clientFrame('hi')]).toEqual([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])
    expect([...clientFrame('x'.repeat(200)).subarray(0, 9)]).toEqual([0x81, 0xfe, 0, 200, 0, 0, 0, 0, 0x78])
  })

  test('is taken by a real server as the text that it holds', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    using server = Bun.serve({
      port: 0,
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('no', { status: 400 })),
      websocket: { message: (_, text) => resolve(String(text)) },
    })
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: server.port ?? 0,
      socket: {
        data: (socket) => {
          socket.write(clientFrame(MEDIUM))
        },
      },
    })
    socket.write(
      'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGlkaW5ncy1iZW5jaC0xNg==\r\n\r\n',
    )
    expect(await promise).toBe(MEDIUM)
    socket.end()
  })
})

/** What a reader tells of the stream in pieces of this size: signature and size of each data frame. */
function readInPieces(
  stream: Buffer,
  piece: number,
  control: (opcode: number, payload: Uint8Array) => void = () => {},
): [number, number][] {
  const frames: [number, number][] = []
  const reader = new FrameReader({ frame: (signature, bytes) => frames.push([signature, bytes]), control })
  // Each piece is overwritten afterwards, as a reused receive buffer would be.
  for (let at = 0; at < stream.length; at += piece) {
    const chunk = Buffer.from(stream.subarray(at, Math.min(stream.length, at + piece)))
    reader.read(chunk)
    chunk.fill(0xff)
    if (piece === Infinity) break
  }
  return frames
}

function serverText(text: string): Buffer {
  return serverFrame(1, Buffer.from(text))
}

function serverFrame(opcode: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(payload.length > 65_535 ? 10 : payload.length > 125 ? 4 : 2)
  head[0] = 0x80 | opcode
  if (head.length === 2) head[1] = payload.length
  else if (head.length === 4) {
    head[1] = 126
    head.writeUInt16BE(payload.length, 2)
  } else {
    head[1] = 127
    head.writeBigUInt64BE(BigInt(payload.length), 2)
  }
  return Buffer.concat([head, payload])
}
