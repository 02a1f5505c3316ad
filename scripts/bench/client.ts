import type { Socket } from 'bun'
import type { Transport } from './case.ts'
import { EventReader } from './events.ts'
import {
  clientFrame,
  ERROR,
  type FrameListener,
  FrameReader,
  OPCODE_CLOSE,
  OPCODE_PING,
  OPCODE_PONG,
  WELCOME,
} from './frames.ts'
import type { Load } from './load.ts'

const HEAD_END = Buffer.from('\r\n\r\n')

/** The status with which a server lets a client in. */
const ADMITTED: Record<Transport, string> = { websocket: '101', sse: '200' }

/** One WebSocket or event stream of the load process, over a bare TCP socket. It is open when its `welcome` has come. */
export class Client implements FrameListener {
  readonly index: number
  readonly #load: Load
  readonly #request: string
  readonly #opened: (client: Client) => void
  readonly #transport: Transport
  readonly #reader: FrameReader | EventReader
  #socket: Socket<Client> | undefined
  #state: 'handshake' | 'welcome' | 'open' | 'closed' = 'handshake'
  #head: Buffer | undefined

  /** For the case that owns it: its room's number, what it waits for, when it sent. */
  group = 0
  waiting = 0
  sentAt = 0

  constructor(load: Load, index: number, request: string, transport: Transport, opened: (client: Client) => void) {
    this.#load = load
    this.index = index
    this.#request = request
    this.#transport = transport
    this.#reader = transport === 'sse' ? new EventReader(this) : new FrameReader(this)
    this.#opened = opened
  }

  connected(socket: Socket<Client>): void {
    this.#socket = socket
    this.write(Buffer.from(this.#request))
  }

  /** Writes prepared bytes. The bench never has so much in flight that a socket could refuse some. */
  write(bytes: Uint8Array): void {
    const written = this.#socket?.write(bytes)
    if (written !== bytes.length) throw new Error(`client ${this.index} wrote ${written} of ${bytes.length} bytes`)
  }

  receive(chunk: Buffer): void {
    if (this.#state === 'handshake') this.#readHead(chunk)
    else this.#reader.read(chunk)
    this.#load.onChunk(this)
  }

  frame(signature: number, bytes: number, chunk: Uint8Array, start: number): void {
    if (this.#state === 'open') {
      this.#load.frames++
      if (signature === ERROR) this.#load.fail(`client ${this.index} got ${text(chunk, start, bytes)}`)
      this.#load.onFrame(this, signature, bytes)
    } else if (signature === WELCOME) {
      this.#state = 'open'
      this.#opened(this)
    } else this.#load.fail(`client ${this.index} got before welcome: ${text(chunk, start, bytes)}`)
  }

  control(opcode: number, payload: Uint8Array): void {
    if (opcode === OPCODE_PING) this.write(clientFrame(payload, OPCODE_PONG))
    else if (opcode === OPCODE_CLOSE) {
      const code = payload.length > 1 ? (payload[0] ?? 0) * 256 + (payload[1] ?? 0) : 1005
      this.#load.fail(`client ${this.index} was closed with ${code} ${Buffer.from(payload.subarray(2)).toString()}`)
    }
  }

  /** Ends the connection on purpose. */
  close(): void {
    this.#state = 'closed'
    this.#socket?.end()
  }

  /** A handler threw: the run is over, with the reason. */
  failed(error: Error): void {
    this.#load.fail(`client ${this.index}: ${error.message}`)
  }

  ended(): void {
    if (this.#state !== 'closed') this.#load.fail(`the server dropped client ${this.index} (${this.#state})`)
  }

  #readHead(chunk: Buffer): void {
    const head = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk])
    const end = head.indexOf(HEAD_END)
    if (end < 0) {
      this.#head = Buffer.from(head)
      return
    }
    if (head.toString('latin1', 9, 12) !== ADMITTED[this.#transport]) {
      this.#load.fail(`client ${this.index} was refused: ${head.toString('latin1', 0, 600)}`)
      return
    }
    this.#head = undefined
    this.#state = 'welcome'
    const rest = head.subarray(end + HEAD_END.length)
    if (rest.length > 0) this.#reader.read(rest)
  }
}

function text(chunk: Uint8Array, start: number, bytes: number): string {
  return start < 0 ? '(a frame in pieces)' : Buffer.from(chunk.subarray(start, start + bytes)).toString()
}
