/**
 * How frames leave the server. A connection has one encoding for its life; there are few of them, so a frame is encoded
 * once for each that is in use and handed to all who share it.
 */
import type { ServerFrame } from './frames.ts'
import { encodeJson } from './json.ts'
import { encodeMsgpack } from './msgpack.ts'

export type Format = 'json' | 'msgpack'
export type Envelope = 'payload' | 'data'
/** An encoded frame: text for JSON, bytes for MessagePack. */
export type Encoded = string | Uint8Array

export interface Encoding {
  /** Position in {@link ENCODINGS}. */
  readonly index: number
  readonly format: Format
  /** The key under which a frame's payload stands. */
  readonly envelope: Envelope
  encode(frame: ServerFrame): Encoded
}

/** Every encoding, by its index. */
export const ENCODINGS: readonly Encoding[] = [
  { index: 0, format: 'json', envelope: 'payload', encode: encodeJson },
  { index: 1, format: 'json', envelope: 'data', encode: (frame) => encodeJson(withData(frame)) },
  { index: 2, format: 'msgpack', envelope: 'payload', encode: encodeMsgpack },
  { index: 3, format: 'msgpack', envelope: 'data', encode: (frame) => encodeMsgpack(withData(frame)) },
]

/** The encoding for a negotiated format and envelope. */
export function encodingFor(format: Format, envelope: Envelope): Encoding {
  const index = (format === 'json' ? 0 : 2) + (envelope === 'payload' ? 0 : 1)
  return ENCODINGS[index] as Encoding
}

function withData(frame: ServerFrame): ServerFrame {
  const { payload, type, ...rest } = frame
  return payload === undefined ? frame : ({ type, data: payload, ...rest } as ServerFrame)
}
