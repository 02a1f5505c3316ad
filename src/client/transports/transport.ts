/** What a transport does: open a link, move frames. What they mean is not its affair. */
import type { ServerFrame } from '../../protocol/frames.ts'
import type { Codec } from '../codec.ts'
import type { Environment } from '../environment.ts'
import { ClientError } from '../error.ts'
import type { TransportName } from '../ladder.ts'
import type { Heartbeat } from '../liveness.ts'

/** Where to connect, and what the server is told. */
export interface Target {
  /** The realtime endpoint with `http:` or `https:`, without a slash at its end. */
  readonly url: string
  /** The token in use; another one after a refresh. */
  readonly token: () => string | undefined
  /** `cursor`, `rooms`, `resume`, `device_id` …: what goes into the query on every transport. */
  readonly query: Readonly<Record<string, string>>
  readonly codec: Codec
}

/** How a link ended. */
export interface End {
  /**
   * `refused`: the server said no, see `error`. `blocked`: this transport does not work here, another one may.
   * `unreachable`: no transport will. `lost`: it worked and is gone.
   */
  readonly kind: 'refused' | 'blocked' | 'unreachable' | 'lost'
  readonly error: ClientError | undefined
  /** The error as it stands in the body of an HTTP answer. */
  readonly body?: unknown
  /** The WebSocket close code. */
  readonly code?: number
}

/** After `ended` a link is silent. */
export interface LinkEvents {
  /** A frame of the stream, in the order of the server. */
  frame(frame: ServerFrame): void
  /** An answer that came beside the stream: it may be ahead of what the stream has delivered. */
  answer(frame: ServerFrame): void
  /** How far the server has delivered on this stream. */
  position(cursor: string): void
  /** Something arrived that is no frame; the link goes on. */
  bad(cause: unknown): void
  /** Anything at all was received. */
  alive(): void
  /** The end, once, and not after `close()`. */
  ended(end: End): void
}

export interface Link {
  readonly name: TransportName
  /** The server sends nothing visible on a quiet link, so that it has to be asked. */
  readonly needsPing: boolean
  /** How silent it may be, where that is not for the server to say. */
  readonly heartbeat?: Heartbeat | undefined
  /** Bytes of one frame that the server takes; set when it has said so. 0: any. */
  maxBytes: number | undefined
  /** What `/realtime/send` is told; set when the server has said so. */
  connectionId: string | undefined
  /** @throws ClientError `payload_too_large`. */
  send(frame: object): void
  close(): void
}

export type OpenLink = (environment: Environment, target: Target, events: LinkEvents) => Link

/** The address of an endpoint with its query; empty values are left out. */
export function addressOf(url: string, query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString()
  return text === '' ? url : `${url}?${text}`
}

/** @throws ClientError `payload_too_large` where the server would not take a frame of this size. */
export function checkSize(data: string | Uint8Array, maxBytes: number | undefined): void {
  if (!maxBytes) return
  // UTF-8 has at most three bytes for each UTF-16 unit: most texts need no counting.
  if (typeof data === 'string' && data.length * 3 <= maxBytes) return
  const size = typeof data === 'string' ? new TextEncoder().encode(data).length : data.length
  if (size <= maxBytes) return
  const message = `${size} bytes are too many: the server takes ${maxBytes}`
  throw new ClientError('payload_too_large', message, {
    code: 'RT_008',
    reconnect: false,
    details: { max_message_bytes: maxBytes },
  })
}
