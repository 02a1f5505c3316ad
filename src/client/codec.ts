/** How frames are written on a WebSocket. SSE and polling are always JSON. */
import { bytesFromJson, bytesReplacer, mayHoldBytes } from '../protocol/bytes.ts'

export interface Codec {
  readonly format: 'json' | 'msgpack'
  encode(frame: object): string | Uint8Array
  /** @throws whatever it likes on what is no frame. */
  decode(data: string | Uint8Array): unknown
}

export const jsonCodec: Codec = {
  format: 'json',
  encode: (frame) => JSON.stringify(frame, bytesReplacer),
  decode(data) {
    // Bytes are no JSON frame: as text they are not JSON either.
    const text = String(data)
    const value: unknown = JSON.parse(text)
    // Somebody's object may happen to have the key `$bin` alone: it is theirs, and no reason to lose the message.
    return mayHoldBytes(text) ? bytesFromJson(value, (marked) => marked) : value
  },
}
