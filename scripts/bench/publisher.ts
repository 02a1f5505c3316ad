import type { Client } from './client.ts'
import { clientFrame } from './frames.ts'
import { frameId, publishFrame } from './templates.ts'

const MARK = '"id":"'

/**
 * Prepared publishes to one room. The frames stand in one buffer, so that several go out in one write; before that
 * each gets a fresh id in place, because an id that comes again is answered without a delivery.
 */
export class Publisher {
  readonly #client: Client
  readonly #frames: Uint8Array
  readonly #frameBytes: number
  readonly #idAt: number
  #nextId: number

  /**
   * @param most how many frames one call may send.
   * @param firstId where a client publishes to several rooms, their ids must not meet.
   */
  constructor(client: Client, room: string, most: number, firstId = 0) {
    this.#nextId = firstId
    const text = publishFrame(room, 0)
    const frame = clientFrame(text)
    this.#client = client
    this.#frameBytes = frame.length
    this.#idAt = frame.length - text.length + text.indexOf(MARK) + MARK.length
    this.#frames = new Uint8Array(frame.length * most)
    for (let i = 0; i < most; i++) this.#frames.set(frame, i * frame.length)
  }

  /** Sends so many messages in one write. */
  send(count: number): void {
    for (let i = 0; i < count; i++) this.#writeId(i * this.#frameBytes + this.#idAt, this.#nextId++)
    this.#client.write(this.#frames.subarray(0, count * this.#frameBytes))
  }

  #writeId(at: number, id: number): void {
    const digits = frameId(id)
    for (let i = 0; i < digits.length; i++) this.#frames[at + i] = digits.charCodeAt(i)
  }
}
