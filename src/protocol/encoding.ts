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
  encoding(4, 'json', 'sse', 'payload', (frame) => eventOf(frame, encodeJson(frame))),
  encoding(5, 'json', 'sse', 'data', (frame) => eventOf(frame, encodeJson(withData(frame)))),
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
 * A server-sent event. JSON holds no line break, so a frame is one `data` line.
 * @param position what a browser brings back when it has lost the connection; absent: the event does not move it.
 */
export function toEvent(json: string, position: string | undefined): string {
  return position === undefined ? `data: ${json}\n\n` : `id: ${position}\ndata: ${json}\n\n`
}

/** The position that an event moves to; absent: it moves none. */
export function positionOf(event: string): number | undefined {
  return event.startsWith('id: ') ? Number(event.slice('id: '.length, event.indexOf('\n'))) : undefined
}

/** The event that keeps a stream alive and moves the position, of which an application sees nothing. */
export function heartbeatEvent(position: string): string {
  return `id: ${position}\n\n`
}

/** How long a browser that has lost the stream waits before it comes back. */
export function retryEvent(ms: number): string {
  return `retry: ${ms}\n\n`
}

function eventOf(frame: ServerFrame, json: string): string {
  const { cursor, history, type, payload } = frame
  const event = toEvent(json, history ? undefined : cursor)
  if (type !== 'server_draining') return event
  // A browser comes back by itself, and reads no payload to learn when.
  const { reconnect_after_ms: ms } = payload as { reconnect_after_ms: number }
  return `${retryEvent(ms)}${event}`
}

/** A frame with its payload under the key of an envelope, for who encodes several of them as one value. */
export function inEnvelope(frame: ServerFrame, envelope: Envelope): ServerFrame {
  return envelope === 'data' ? withData(frame) : frame
}

function withData(frame: ServerFrame): ServerFrame {
  const { payload, type, ...rest } = frame
  return payload === undefined ? frame : ({ type, data: payload, ...rest } as ServerFrame)
}
