/** Test clients over WebSocket. */
import type { Format } from '../protocol/encoding.ts'
import { decodeJson, encodeJson } from '../protocol/json.ts'
import { decodeMsgpack, encodeMsgpack } from '../protocol/msgpack.ts'
import { type Frame, QueueingClient } from './client.ts'
import type { Who } from './tokens.ts'

export interface ConnectOptions extends Who {
  /** Default: `websocket`. */
  readonly transport?: 'websocket' | 'sse' | 'poll'
  /** Rooms to join with the connection. */
  readonly rooms?: readonly string[]
  readonly format?: Format
  /** The key under which payloads come. */
  readonly envelope?: 'payload' | 'data'
  /** More parameters of the address; they win. */
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: readonly string[]
  readonly path?: string
}

/** The address of a connection with these options. The server is asked to say why it refuses where it does. */
export function addressOf(serverUrl: string, options: ConnectOptions, token: string | undefined): URL {
  const { rooms, format, envelope, query, path } = options
  const url = new URL(path ?? '/realtime', serverUrl.replace(/^http/, 'ws'))
  const parameters = {
    close_reason: '1',
    ...(token !== undefined && { token }),
    ...(rooms && { rooms: rooms.join(',') }),
    ...(format && { format }),
    ...(envelope && { envelope }),
    ...query,
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

const UNLIMITED = { maxDepth: 0, maxKeys: 0 }

/** Bun's own constructor, which takes headers too: the types of browsers do not know them. */
const BunWebSocket = WebSocket as unknown as new (url: URL, options: Bun.WebSocketOptions) => WebSocket

/** Connects and resolves after `welcome`; rejects with a `RefusedError`. */
export function connectWebSocket(url: URL, { headers, protocols, format }: ConnectOptions): Promise<QueueingClient> {
  const socket = new BunWebSocket(url, {
    ...(headers && { headers: { ...headers } }),
    ...(protocols && { protocols: [...protocols] }),
  })
  socket.binaryType = 'arraybuffer'
  const client = new QueueingClient({
    send: (frame) => socket.send(format === 'msgpack' ? new Uint8Array(encodeMsgpack(frame)) : encodeJson(frame)),
    close: (code = 1000, reason = '') => socket.close(code, reason),
  })
  socket.onmessage = ({ data }) => client.take(decode(data) as Frame)
  socket.onclose = ({ code, reason }) => client.end({ code, reason })
  return client.opened()
}

function decode(data: string | ArrayBuffer): unknown {
  return typeof data === 'string' ? decodeJson(data, UNLIMITED) : decodeMsgpack(new Uint8Array(data), UNLIMITED)
}
