/** WebSocket: the upgrade, and frames in and out. What a frame means is the session's affair. */
import type { Server, ServerWebSocket, WebSocketHandler } from 'bun'
import { errorFrame } from '../core/exchange.ts'
import type { Hub } from '../core/hub.ts'
import { Session } from '../core/session.ts'
import type { Wire } from '../core/wire.ts'
import { type Encoded, type Encoding, encodingFor } from '../protocol/encoding.ts'
import { TidingsError } from '../protocol/errors.ts'
import type { Admitted, Door, Knock } from './handshake.ts'

type Socket = ServerWebSocket<SocketData>

/**
 * What a socket carries. The methods are called by Elysia's own dispatcher where the server is mounted in somebody's
 * application, and by {@link websocketHandler} where it is our own.
 */
export interface SocketData {
  open(ws: Socket): void
  message(ws: Socket, data: string | Buffer): void
  drain(ws: Socket): void
  close(ws: Socket, code: number, reason: string): void
  ping(ws: Socket, data: Buffer): void
  pong(ws: Socket, data: Buffer): void
}

const NOTHING = { rooms: [], cursor: undefined, former: undefined }

/** One client's socket and its session. */
class WebSocketConnection implements SocketData, Wire {
  readonly transport = 'websocket'
  readonly native = true
  readonly silence = 'dead'
  private readonly hub: Hub
  private readonly session: Session
  private socket: Socket | undefined
  /** What is needed until the socket opens. */
  private admitted: Admitted | undefined

  constructor(hub: Hub, admitted: Admitted) {
    this.hub = hub
    this.admitted = admitted
    this.session = new Session(admitted.init, this)
  }

  open(ws: Socket): void {
    this.socket = ws
    const admitted = this.admitted
    this.admitted = undefined
    this.hub.open(this.session, admitted?.start ?? NOTHING)
    admitted?.place.release()
  }

  message(_ws: Socket, data: string | Buffer): void {
    this.hub.receiver.receive(this.session, data)
  }

  drain(): void {
    // What waits is watched by bytes; that some of it went out changes nothing.
  }

  close(_ws: Socket, code: number, reason: string): void {
    this.socket = undefined
    this.hub.closed(this.session, code, reason)
  }

  /** The client asks; the runtime has answered already. */
  ping(): void {
    this.hub.alive(this.session)
  }

  pong(_ws: Socket, data: Buffer): void {
    this.hub.alive(this.session, data.toString())
  }

  send(data: Encoded): void {
    if (this.socket !== undefined && this.socket.send(data) <= 0) this.hub.pressure(data.length)
  }

  sendAll(batch: readonly Encoded[]): void {
    this.socket?.cork(() => {
      for (const data of batch) this.send(data)
    })
  }

  subscribe(topic: string): void {
    this.socket?.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    this.socket?.unsubscribe(topic)
  }

  publish(topic: string, data: Encoded): boolean {
    return this.socket === undefined || this.socket.publish(topic, data) >= 0
  }

  bufferedBytes(): number {
    return this.socket?.getBufferedAmount() ?? 0
  }

  probe(position: string): void {
    this.socket?.ping(position)
  }

  end(code: number, reason: string): void {
    this.socket?.close(code, reason)
  }
}

/** Whether a request asks for a WebSocket. */
export function wantsUpgrade(request: Request): boolean {
  return request.headers.get('upgrade')?.toLowerCase() === 'websocket'
}

export interface UpgradeOptions {
  /** Sent along with the upgrade. */
  readonly headers: Readonly<Record<string, string>>
  /** Called with a refusal that a socket is told of; gives the correlation id under which it is in the log. */
  readonly writeDown: (error: TidingsError) => string
}

/**
 * Upgrades a request, or answers why not. With `?close_reason=1` the answer is a socket that says so and closes: a
 * browser's WebSocket cannot read the status of a refused handshake.
 * @returns nothing where the request became a socket.
 * @throws TidingsError where the request is refused with a status.
 */
export async function upgrade(
  door: Door,
  hub: Hub,
  knock: Knock,
  server: Server<SocketData>,
  { headers, writeDown }: UpgradeOptions,
): Promise<void> {
  const { request, query } = knock
  let admitted: Admitted
  try {
    admitted = await door.admit(knock, {
      transport: 'websocket',
      check: () => {
        if (!wantsUpgrade(request)) throw new TidingsError('upgrade_required')
      },
    })
  } catch (thrown) {
    const error = TidingsError.from(thrown)
    if (query.get('close_reason') !== '1' || !wantsUpgrade(request)) throw error
    const { subprotocol } = door.credentialsOf(request, query)
    const say = () => refusalEncoding(query, subprotocol).encode(errorFrame(error, writeDown(error), hub.clock))
    if (accept(server, request, new Refusal(error, say), { subprotocol, headers })) return
    throw error
  }
  const { subprotocol } = admitted
  if (accept(server, request, new WebSocketConnection(hub, admitted), { subprotocol, headers })) return
  // The client has left in the meantime, or its request is not one that the runtime upgrades.
  admitted.cancel()
  throw new TidingsError('upgrade_required')
}

/** Answers an upgrade. Left to itself the runtime would echo the first subprotocol offered, which may be the token. */
function accept(
  server: Server<SocketData>,
  request: Request,
  data: SocketData,
  { subprotocol, headers }: { subprotocol: string | undefined; headers: Readonly<Record<string, string>> },
): boolean {
  if (!request.headers.has('sec-websocket-protocol')) return server.upgrade(request, { data, headers })
  return server.upgrade(request, { data, headers: { ...headers, 'sec-websocket-protocol': subprotocol ?? '' } })
}

/** A socket that was accepted only to say why it is refused. */
class Refusal implements SocketData {
  private readonly error: TidingsError
  private readonly say: () => Encoded

  /** @param say makes the frame that tells of the error, once the socket is there. */
  constructor(error: TidingsError, say: () => Encoded) {
    this.error = error
    this.say = say
  }

  open(ws: Socket): void {
    ws.send(this.say())
    ws.close(this.error.close, this.error.errorName)
  }

  message(): void {}
  drain(): void {}
  close(): void {}
  ping(): void {}
  pong(): void {}
}

/** The encoding that was asked for; where that is what is refused, the default. */
function refusalEncoding(query: URLSearchParams, subprotocol: string | undefined): Encoding {
  const asked = subprotocol?.startsWith('tidings.') ? subprotocol.slice('tidings.v1.'.length) : query.get('format')
  return encodingFor(asked === 'msgpack' ? 'msgpack' : 'json', query.get('envelope') === 'data' ? 'data' : 'payload')
}

/** Bytes above the slow consumer's limit at which the runtime cuts a socket by itself, with a bare 1006. */
const LAST_RESORT_FACTOR = 4

/** The options and callbacks of the runtime's WebSocket server. */
export function websocketHandler(hub: Hub): WebSocketHandler<SocketData> {
  const { limits, server } = hub.config
  return {
    // One byte more than allowed reaches the receiver nowhere: the socket layer answers with 1009.
    maxPayloadLength: limits.max_message_bytes,
    backpressureLimit: limits.max_pending_bytes * LAST_RESORT_FACTOR,
    closeOnBackpressureLimit: true,
    // The heartbeat has its own clock; the runtime's is also reset by what the server sends.
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: server.compression,
    open: (ws) => ws.data.open(ws),
    message: (ws, data) => ws.data.message(ws, data),
    drain: (ws) => ws.data.drain(ws),
    close: (ws, code, reason) => ws.data.close(ws, code, reason),
    ping: (ws, data) => ws.data.ping(ws, data),
    pong: (ws, data) => ws.data.pong(ws, data),
  }
}
