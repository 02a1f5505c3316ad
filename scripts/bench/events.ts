/** Server-Sent Events as the load process needs them: counted, like frames, without building a string. */

import { type FrameListener, signatureAt } from './frames.ts'

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const SPACE = 32
const BLANK_LINE = new Uint8Array([LINE_FEED, LINE_FEED])
/** Around the bytes of a chunk of the HTTP body. */
const CHUNK_END_BYTES = 2
/** The first letters of the lines that an event of Tidings opens with. */
const ID = 'i'.charCodeAt(0)
const DATA = 'd'.charCodeAt(0)
/** `id: ` and a cursor, which has sixteen digits until the year 2286. */
const ID_LINE_BYTES = 4 + 16 + 1
const DATA_FIELD_BYTES = 6

/** The events of one stream with its chunks of HTTP/1.1, however TCP cuts them. */
export class EventReader {
  readonly #listener: FrameListener
  /** Bytes of the current chunk that have not come yet, with the line break that ends it. */
  #missing = 0
  /** Of the next chunk, as far as it has been read. */
  #size = 0
  /** The beginning of an event whose end has not come. */
  #rest: Buffer | undefined

  constructor(listener: FrameListener) {
    this.#listener = listener
  }

  read(received: Buffer): void {
    const end = received.length
    let at = 0
    while (at < end) {
      if (this.#missing === 0) {
        this.#readSize(received[at++] ?? 0)
        continue
      }
      const next = Math.min(end, at + this.#missing)
      const dataEnd = Math.min(next, at + this.#missing - CHUNK_END_BYTES)
      if (dataEnd > at) this.#readEvents(received.subarray(at, dataEnd))
      this.#missing -= next - at
      at = next
    }
  }

  #readSize(byte: number): void {
    if (byte === LINE_FEED) {
      if (this.#size === 0) throw new Error('the server ended the stream')
      this.#missing = this.#size + CHUNK_END_BYTES
      this.#size = 0
    } else if (byte !== CARRIAGE_RETURN) {
      const digit = byte < 58 ? byte - 48 : (byte | SPACE) - 87
      if (digit < 0 || digit > 15) throw new Error(`unexpected byte ${byte} in the size of a chunk`)
      this.#size = this.#size * 16 + digit
    }
  }

  #readEvents(data: Buffer): void {
    const bytes = this.#rest === undefined ? data : Buffer.concat([this.#rest, data])
    let at = 0
    for (let end = bytes.indexOf(BLANK_LINE, at); end >= 0; end = bytes.indexOf(BLANK_LINE, at)) {
      this.#readEvent(bytes, at, end)
      at = end + BLANK_LINE.length
    }
    // A copy: the next read may overwrite what was received.
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
  }

  #readEvent(bytes: Buffer, at: number, end: number): void {
    const data = bytes[at] === ID ? at + ID_LINE_BYTES : at
    // A heartbeat has no data, and the advice when to come back is no frame.
    if (data >= end || bytes[data] !== DATA) return
    const start = data + DATA_FIELD_BYTES
    this.#listener.frame(signatureAt(bytes, start, end - start), end - at, bytes, start)
  }
}
