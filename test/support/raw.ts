/** A client that is a TCP socket and nothing more: it can be silent, stop reading, and say what no library would. */
import { connect, type Socket } from 'node:net'
import type { ErrorBody } from '../../src/protocol/errors.ts'
import { Changes } from '../../src/testing/waiting.ts'

export interface Head {
  readonly status: number
  readonly headers: Headers
}

/** A refusal: every one has this shape. */
export interface Answer extends Head {
  readonly body: { readonly error: ErrorBody & { readonly correlation_id: string } }
}

export interface RawFrame {
  readonly fin: boolean
  readonly opcode: number
  readonly payload: Buffer
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** What a request for a WebSocket has besides its address. `undefined` leaves a header out. */
const UPGRADE: Readonly<Record<string, string | undefined>> = {
  host: 'localhost',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  'sec-websocket-version': '13',
}

export function requestHead(path: string, headers: Readonly<Record<string, string | undefined>> = {}): string {
  const all = Object.entries({ ...UPGRADE, ...headers }).filter(([, value]) => value !== undefined)
  return `GET ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

export interface FrameShape {
  readonly fin?: boolean
  /** The three reserved bits, as a number. */
  readonly rsv?: number
  readonly masked?: boolean
  /** The length that the header claims. */
  readonly length?: bigint
}

/** A frame as a client sends it, or as it should not. */
export function frame(
  opcode: number,
  payload: Uint8Array | string | readonly number[],
  shape: FrameShape = {},
): Buffer {
  const { fin = true, rsv = 0, masked = true } = shape
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
  const length = shape.length ?? BigInt(bytes.length)
  const mask = Buffer.from([17, 34, 51, 68])
  const head = [((fin ? 1 : 0) << 7) | (rsv << 4) | opcode]
  const flag = masked ? 128 : 0
  const extended = Buffer.alloc(8)
  extended.writeBigUInt64BE(length)
  if (length < 126n) head.push(flag | Number(length))
  else if (length < 65_536n) head.push(flag | 126, ...extended.subarray(6))
  else head.push(flag | 127, ...extended)
  const body = masked ? bytes.map((byte, index) => byte ^ (mask[index % 4] ?? 0)) : bytes
  return Buffer.concat([Buffer.from(head), ...(masked ? [mask] : []), body])
}

/** A close frame's payload. */
export function closing(code: number, reason: string | Uint8Array = ''): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason)])
}

export class RawSocket {
  /** How the connection ended: `fin` by the server in peace, `reset` otherwise; absent: it has not. */
  ended: 'fin' | 'reset' | undefined
  readonly socket: Socket
  private received = Buffer.alloc(0)
  private readonly changes = new Changes()

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.received = Buffer.concat([this.received, data])
      this.changes.tell()
    })
    socket.on('end', () => this.end('fin'))
    socket.on('error', () => this.end('reset'))
    socket.on('close', () => this.end('reset'))
  }

  /** Connects to the server at this address. The socket stays half open where the server ends its side. */
  static open(url: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url)
    const { promise, resolve, reject } = Promise.withResolvers<RawSocket>()
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), allowHalfOpen: true })
    const raw = new RawSocket(socket)
    socket.once('connect', () => resolve(raw))
    socket.once('error', reject)
    return promise
  }

  /** Connects and asks for a WebSocket; resolves with the socket after 101, fails otherwise. */
  static async upgrade(url: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<RawSocket> {
    const raw = await RawSocket.open(url)
    raw.write(requestHead(path, headers))
    const { status } = await raw.head()
    if (status !== 101) throw new Error(`the server answered ${status}: ${raw.received}`)
    return raw
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data)
  }

  /** Sends a text frame of JSON. */
  send(value: unknown): void {
    this.write(frame(OPCODE.text, JSON.stringify(value)))
  }

  /** Takes the head of the answer. */
  head(): Promise<Head> {
    return this.take('the head of an answer', () => {
      const end = this.received.indexOf('\r\n\r\n')
      if (end < 0) return undefined
      const [first = '', ...lines] = this.received.subarray(0, end).toString().split('\r\n')
      this.received = this.received.subarray(end + 4)
      const pairs = lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
      return { status: Number(first.split(' ')[1]), headers: new Headers(pairs) }
    })
  }

  /** Takes a whole answer, whose length its head names. */
  async answer(): Promise<Answer> {
    const { status, headers } = await this.head()
    const length = Number(headers.get('content-length') ?? 0)
    const text = await this.take(`a body of ${length} bytes`, () => {
      if (this.received.length < length) return undefined
      const body = this.received.subarray(0, length).toString()
      this.received = this.received.subarray(length)
      return { body }
    })
    const isJson = headers.get('content-type')?.includes('json') ?? false
    if (!isJson) throw new Error(`${status} without JSON: ${text.body}`)
    return { status, headers, body: JSON.parse(text.body) }
  }

  /** Takes the next frame. */
  frame(): Promise<RawFrame> {
    return this.take('a frame', () => {
      const [first, second] = this.received
      if (first === undefined || second === undefined) return undefined
      const short = second & 127
      const headLength = short < 126 ? 2 : short === 126 ? 4 : 10
      if (this.received.length < headLength) return undefined
      const length =
        short < 126 ? short : short === 126 ? this.received.readUInt16BE(2) : Number(this.received.readBigUInt64BE(2))
      if (this.received.length < headLength + length) return undefined
      const payload = Buffer.from(this.received.subarray(headLength, headLength + length))
      this.received = this.received.subarray(headLength + length)
      return { fin: (first & 128) !== 0, opcode: first & 15, payload }
    })
  }

  /** Takes the next text frame as JSON; pings in between are left unanswered. */
  async json(): Promise<Record<string, unknown>> {
    const { opcode, payload } = await this.frame()
    return opcode === OPCODE.ping ? this.json() : JSON.parse(payload.toString())
  }

  /** The code and reason of the close frame that comes; whatever comes before is dropped. */
  async closeFrame(): Promise<{ code: number; reason: string }> {
    const { opcode, payload } = await this.frame()
    if (opcode !== OPCODE.close) return this.closeFrame()
    return { code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() }
  }

  /** Everything that was received and not taken. */
  get text(): string {
    return this.received.toString()
  }

  /** Resolves when the server has ended the connection, in whatever way. */
  gone(): Promise<'fin' | 'reset'> {
    return this.changes.until(
      () => this.ended,
      () => `the connection is still open; received ${this.received.subarray(0, 200)}`,
    )
  }

  /** Stops reading: what the server sends fills its buffers. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Ends the client's side alone. */
  finish(): void {
    this.socket.end()
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  private end(how: 'fin' | 'reset'): void {
    this.ended ??= how
    this.changes.tell()
  }

  private take<T>(wanted: string, look: () => T | undefined): Promise<T> {
    const missing = () => `expected ${wanted}, found ${this.received.length} bytes: ${this.received.subarray(0, 200)}`
    return this.changes.until(() => {
      const found = look()
      if (found === undefined && this.ended !== undefined) throw new Error(`${missing()}; ended with ${this.ended}`)
      return found
    }, missing)
  }
}

/** Asks for a WebSocket and resolves with the answer, which is a refusal. */
export async function knock(
  url: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>> = {},
): Promise<Answer> {
  using raw = await RawSocket.open(url)
  raw.write(requestHead(path, { host: new URL(url).host, ...headers }))
  return await raw.answer()
}
