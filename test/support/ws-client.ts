/** Clients that share no code with the server: the `ws` package, and `@msgpack/msgpack` for the binary format. */
import { createRequire } from 'node:module'
import { decode, encode } from '@msgpack/msgpack'
import type { WebSocket as WsSocket } from 'ws'
import { type Frame, QueueingClient } from '../../src/testing/client.ts'
import { addressOf, type ConnectOptions } from '../../src/testing/websocket.ts'
import { ROOT } from '../cli/process.ts'

// By its path: under its name Bun gives its own WebSocket in the package's place.
export const Ws: typeof WsSocket = createRequire(import.meta.url)(`${ROOT}node_modules/ws/lib/websocket.js`)

/** Connects with `ws` and resolves after `welcome`; rejects with a `RefusedError`. */
export function connectWs(serverUrl: string, options: ConnectOptions, token: string): Promise<QueueingClient> {
  const binary = options.format === 'msgpack'
  const socket = new Ws(addressOf(serverUrl, options, token), [...(options.protocols ?? [])], {
    headers: { ...options.headers },
    perMessageDeflate: false,
  })
  const client = new QueueingClient({
    send: (frame) => socket.send(binary ? encode(frame, { ignoreUndefined: true }) : JSON.stringify(toJson(frame))),
    close: (code = 1000, reason = '') => socket.close(code, reason),
  })
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary !== binary) client.end({ code: 0, reason: `a frame in the wrong format: ${data}` })
    else client.take((isBinary ? decode(data) : fromJson(JSON.parse(data.toString()))) as Frame)
  })
  socket.on('error', () => {})
  socket.on('close', (code: number, reason: Buffer) => client.end({ code, reason: reason.toString() }))
  return client.opened()
}

function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bin: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, toJson(child)]))
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value !== 'object' || value === null) return value
  const [only, ...others] = Object.entries(value)
  if (only?.[0] === '$bin' && others.length === 0) return new Uint8Array(Buffer.from(String(only[1]), 'base64'))
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, fromJson(child)]))
}
