/** Server-Sent Events: frames to a client as a stream of events. What the client has to say comes by POST. */
import type { Hub } from '../core/hub.ts'
import { Session } from '../core/session.ts'
import type { Wire } from '../core/wire.ts'
import { type Encoded, heartbeatEvent, retryEvent } from '../protocol/encoding.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import type { Admitted, Door, Knock } from './handshake.ts'
import { checkReceiver } from './parameters.ts'
import { lastPosition, type StreamWriter, type Writable } from './stream-writer.ts'

/** Milliseconds that a browser waits before it comes back after a cut. */
const RETRY_MS = 2000
/** What the runtime reports for a client that is gone, whether it said goodbye or not. */
const ABNORMAL_CLOSURE = 1006

/**
 * The runtime's own kind of stream: what is written goes out at the end of the turn, without a queue of chunks in between.
 * The types of the platform do not know it.
 */
interface DirectController {
  /** Takes bytes. A promise: the client does not read; it resolves when everything has gone out. */
  write(bytes: Uint8Array): number | Promise<unknown>
  /** Ends the stream: after what was written, or with an error at once. */
  close(error?: Error): void
}

/** One client's stream and its session. The runtime calls `pull` and `cancel`: it is the source of the response's body. */
class EventStream implements Wire, Writable {
  readonly type = 'direct'
  readonly transport = 'sse'
  readonly native = false
  readonly silence = 'allowed'
  readonly session: Session
  private readonly hub: Hub
  private readonly writer: StreamWriter
  private controller: DirectController | undefined
  private finish: (() => void) | undefined
  /** Sent and not yet written. */
  private pending: string[] = []
  /** Bytes of it that came since the client stopped reading. */
  private pendingBytes = 0
  /** Bytes that the runtime took and could not pass on; 0: the client reads. */
  private stalledBytes = 0
  private stallTimer: ReturnType<typeof setTimeout> | undefined
  /** The newest position that was written. */
  private position = 0
  /** What is needed until the stream begins. */
  private admitted: Admitted | undefined

  constructor(hub: Hub, writer: StreamWriter, admitted: Admitted) {
    this.hub = hub
    this.writer = writer
    this.admitted = admitted
    this.session = new Session(admitted.init, this)
  }

  /** The runtime begins to send the body: the session opens. */
  pull(controller: DirectController): Promise<void> {
    const { admitted } = this
    if (admitted === undefined) return Promise.resolve()
    this.admitted = undefined
    this.controller = controller
    const over = new Promise<void>((resolve) => {
      this.finish = resolve
    })
    this.add(retryEvent(RETRY_MS))
    this.hub.open(this.session, admitted.start)
    admitted.place.release()
    return over
  }

  /** The client is gone, maybe before the body began. */
  cancel(): void {
    const { admitted } = this
    this.admitted = undefined
    if (admitted !== undefined) {
      admitted.cancel()
      return
    }
    clearTimeout(this.stallTimer)
    this.controller = undefined
    this.pending = []
    this.hub.closed(this.session, ABNORMAL_CLOSURE, '')
    this.finish?.()
  }

  send(data: Encoded): void {
    this.add(data as string)
  }

  sendAll(batch: readonly Encoded[]): void {
    for (const data of batch) this.add(data as string)
  }

  /** The heartbeat: it keeps proxies from cutting a quiet stream, and tells the position. */
  probe(position: string): void {
    // An event may run ahead of what all others were given: its reader must not be taken back.
    const newest = lastPosition(this.pending) ?? this.position
    this.add(heartbeatEvent(newest > Number(position) ? String(newest) : position))
  }

  /** What is only waiting for the end of the turn is nobody's fault. */
  bufferedBytes(): number {
    return this.stalledBytes === 0 ? 0 : this.stalledBytes + this.pendingBytes
  }

  takePending(): readonly string[] {
    if (this.stalledBytes > 0) return []
    const { pending } = this
    this.pending = []
    this.pendingBytes = 0
    return pending
  }

  write(bytes: Uint8Array, position: number | undefined): void {
    if (position !== undefined) this.position = position
    const written = this.controller?.write(bytes)
    if (written instanceof Promise) this.stall(written, bytes.length)
  }

  end(code: number, reason: string): void {
    clearTimeout(this.stallTimer)
    const { controller } = this
    if (controller === undefined) return
    this.controller = undefined
    // A client that does not read would hold the stream until it does: it is cut off, and learns that it missed something.
    if (this.stalledBytes > 0 || code === CLOSE.slowConsumer) {
      controller.close(new Error(reason))
    } else {
      if (this.pending.length > 0) controller.write(Buffer.from(this.pending.join('')))
      controller.close()
    }
    this.pending = []
    this.finish?.()
  }

  subscribe(): void {}

  unsubscribe(): void {}

  publish(): boolean {
    return true
  }

  private add(event: string): void {
    if (this.controller === undefined) return
    this.pending.push(event)
    if (this.stalledBytes === 0) {
      if (this.pending.length === 1) this.writer.schedule(this)
      return
    }
    const bytes = Buffer.byteLength(event)
    this.pendingBytes += bytes
    this.hub.pressure(bytes)
  }

  private stall(drained: Promise<unknown>, bytes: number): void {
    this.stalledBytes = bytes
    this.hub.pressure()
    this.stallTimer = setTimeout(() => {
      this.hub.close(this.session, CLOSE.slowConsumer, 'slow_consumer')
    }, this.hub.config.heartbeat.timeout_ms)
    const goOn = () => {
      clearTimeout(this.stallTimer)
      this.stalledBytes = 0
      if (this.pending.length > 0) this.writer.schedule(this)
    }
    drained.then(goOn, goOn)
  }
}

/**
 * Lets a client in and gives the body of the answer, an event stream that goes on until either side ends it.
 * @throws TidingsError where the request is refused with a status.
 */
export async function openStream(door: Door, hub: Hub, writer: StreamWriter, knock: Knock): Promise<ReadableStream> {
  const { request, query } = knock
  const lastEventId = request.headers.get('last-event-id')
  const admitted = await door.admit(knock, {
    transport: 'sse',
    framing: 'sse',
    // A browser that has seen no event yet sends an empty one.
    position: lastEventId === '' ? null : lastEventId,
    comesAgain: true,
    check: () => checkReceiver(request, query),
  })
  if (request.signal.aborted) {
    admitted.cancel()
    throw new TidingsError('unavailable', 'The client has left')
  }
  return new ReadableStream(new EventStream(hub, writer, admitted) as unknown as UnderlyingDefaultSource)
}
