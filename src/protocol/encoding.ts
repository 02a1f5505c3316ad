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

/** What stands around a frame on a byte stream: nothing, or the lines of a server-sent event. */
export type Framing = 'none' | 'sse'

export interface Encoding {
  /** Position in {@link ENCODINGS}. */
  readonly index: number
  readonly format: Format
  readonly framing: Framing
  /** The key under which a frame's payload stands. */
  readonly envelope: Envelope
  encode(frame: ServerFrame): Encoded
}

/** Every encoding, by its index. */
export const ENCODINGS: readonly Encoding[] = [
  encoding(0, 'json', 'none', 'payload', encodeJson),
  encoding(1, 'json', 'none', 'data', (frame) => encodeJson(withData(frame))),
  encoding(2, 'msgpack', 'none', 'payload', encodeMsgpack),
  encoding(3, 'msgpack', 'none', 'data', (frame) => encodeMsgpack(withData(frame))),
  encoding(4, 'json', 'sse', 'payload', (frame) => toEvent(frame, encodeJson(frame))),
  encoding(5, 'json', 'sse', 'data', (frame) => toEvent(frame, encodeJson(withData(frame)))),
]

/** The encoding for a negotiated format and envelope; an event stream is JSON. */
export function encodingFor(format: Format, envelope: Envelope, framing: Framing = 'none'): Encoding {
  const base = framing === 'sse' ? 4 : format === 'json' ? 0 : 2
  return ENCODINGS[base + (envelope === 'payload' ? 0 : 1)] as Encoding
}

function encoding(
  index: number,
  format: Format,
  framing: Framing,
  envelope: Envelope,
  encode: (frame: ServerFrame) => Encoded,
): Encoding {
  return { index, format, framing, envelope, encode }
}

/**
 * A frame as a server-sent event. JSON holds no line break, so the frame is one `data` line; only a frame that moves the
 * position has an `id`, because that is what a browser brings back.
 */
function toEvent({ cursor, history }: ServerFrame, json: string): string {
  return cursor !== undefined && !history ? `id: ${cursor}\ndata: ${json}\n\n` : `data: ${json}\n\n`
}

function withData(frame: ServerFrame): ServerFrame {
  const { payload, type, ...rest } = frame
  return payload === undefined ? frame : ({ type, data: payload, ...rest } as ServerFrame)
}
