/** WebSocket frames as the load process needs them: made once, counted without building a string. */

/** The two letters that tell one frame type from another: the first and the third of its `type`. */
export type Signature = number

/**
 * The signature of a frame type. The reader looks at these two bytes alone, so that a presence frame between two
 * messages is told apart at the price of two loads. It relies on `{"type":"` opening every frame, as in Tidings.
 */
export function signatureOf(type: string): Signature {
  return type.charCodeAt(0) * 256 + type.charCodeAt(2)
}

/** The type of the messages whose delivery is measured. No built-in type begins with a capital. */
export const MESSAGE_TYPE = 'Bench'
export const MESSAGE = signatureOf(MESSAGE_TYPE)
export const ACK = signatureOf('ack')
export const PONG = signatureOf('pong')
export const WELCOME = signatureOf('welcome')
export const ERROR = signatureOf('error')

/** Where a frame's type begins: after `{"type":"`. */
const TYPE_AT = 9
/** Bytes of a payload that must have come before its signature can be read. */
const SIGNATURE_BYTES = TYPE_AT + 3
/** What stands there in a stored message, `{"cursor":"1…`: its type is further on, and nothing else is stored. */
export const STORED: Signature = 58 * 256 + 49

/** Whether a frame is a message whose delivery is measured. */
export function isMessage(signature: Signature): boolean {
  return signature === MESSAGE || signature === STORED
}

/** The signature of the frame whose first byte is at `start`; 0: it is too short for one. */
export function signatureAt(bytes: Uint8Array, start: number, length: number): Signature {
  if (length < SIGNATURE_BYTES) return 0
  return (bytes[start + TYPE_AT] ?? 0) * 256 + (bytes[start + TYPE_AT + 2] ?? 0)
}

const OPCODE_TEXT = 1
export const OPCODE_CLOSE = 8
export const OPCODE_PING = 9
export const OPCODE_PONG = 10

/** What a reader tells: every data frame when its last byte is there, every control frame with its payload. */
export interface FrameListener {
  /** `payload` holds the payload only where all of it stood in one chunk, and is valid during the call alone. */
  frame(signature: Signature, bytes: number, chunk: Uint8Array, start: number): void
  control(opcode: number, payload: Uint8Array): void
}

/** Frames of one connection, however TCP cuts them. Violations of RFC 6455 by the server throw. */
export class FrameReader {
  readonly #listener: FrameListener
  /** Payload bytes of the current frame that have not come yet. */
  #missing = 0
  #signature = 0
  #size = 0
  /** The beginning of a frame too short to be judged: at most a header and a control payload. */
  #rest: Uint8Array | undefined

  constructor(listener: FrameListener) {
    this.#listener = listener
  }

  read(received: Uint8Array): void {
    const chunk = this.#rest === undefined ? received : joined(this.#rest, received)
    this.#rest = undefined
    const end = chunk.length
    let at = 0
    if (this.#missing > 0) {
      if (end < this.#missing) {
        this.#missing -= end
        return
      }
      at = this.#missing
      this.#missing = 0
      this.#listener.frame(this.#signature, this.#size, chunk, -1)
    }
    while (at < end) {
      const next = this.#readFrame(chunk, at, end)
      if (next < 0) {
        // A Buffer's own slice would be a view of memory that the next read may overwrite.
        this.#rest = new Uint8Array(chunk.subarray(at))
        return
      }
      at = next
    }
  }

  /** Reads the frame at `at`. Returns where the next begins, or -1 where too little of it is there to be judged. */
  #readFrame(chunk: Uint8Array, at: number, end: number): number {
    if (end - at < 2) return -1
    const first = chunk[at] ?? 0
    let length = chunk[at + 1] ?? 0
    let start = at + 2
    if (length > 125) {
      if (length > 127) throw new Error('the server sent a masked frame')
      const extended = length === 126 ? 2 : 8
      if (end - start < extended) return -1
      length = bigEndian(chunk, start, extended)
      start += extended
    }
    const opcode = first & 0x0f
    if (opcode >= OPCODE_CLOSE) {
      if (start + length > end) return -1
      this.#listener.control(opcode, chunk.subarray(start, start + length))
      return start + length
    }
    if (first !== (0x80 | OPCODE_TEXT)) throw new Error(`unexpected frame header 0x${first.toString(16)}`)
    if (end - start < Math.min(length, SIGNATURE_BYTES)) return -1
    const signature = signatureAt(chunk, start, length)
    if (start + length > end) {
      this.#missing = start + length - end
      this.#signature = signature
      this.#size = length
      return end
    }
    this.#listener.frame(signature, length, chunk, start)
    return start + length
  }
}

/**
 * A client's frame around a text or a control payload. The mask key is zero: the server's work is the same, and the
 * bytes of an id inside can be changed in place between two writes.
 */
export function clientFrame(payload: string | Uint8Array, opcode: number = OPCODE_TEXT): Uint8Array {
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload
  if (body.length > 0xffff) throw new Error(`a payload of ${body.length} bytes is more than the bench sends`)
  const extended = body.length > 125
  const frame = new Uint8Array((extended ? 8 : 6) + body.length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | (extended ? 126 : body.length)
  if (extended) new DataView(frame.buffer).setUint16(2, body.length)
  frame.set(body, frame.length - body.length)
  return frame
}

function bigEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
