/** A client of a test: it queues what it receives, and answers can be waited for. It knows no transport. */
import type { ErrorBody } from '../protocol/errors.ts'
import { Changes } from './waiting.ts'

/** A frame as it came from the server. */
export interface Frame {
  readonly type: string
  readonly payload?: unknown
  readonly id?: string
  readonly room?: string
  readonly sender?: { readonly user_id: string; readonly device_id: string; readonly username?: string }
  readonly timestamp?: number
  readonly cursor?: string
  readonly correlation_id?: string
  readonly ack_id?: string
  readonly [field: string]: unknown
}

/** What `welcome` carries, as far as the kit needs it. */
export interface Welcome {
  readonly connection_id: string
  readonly user_id: string
  readonly device_id: string
}

/** A frame to the server. */
export interface OutgoingFrame {
  readonly type: string
  readonly [field: string]: unknown
}

/** How a connection ended, as the client saw it. */
export interface Closed {
  readonly code: number
  readonly reason: string
}

/** The server did not let a client in; `error` says why, as in its `error` frame. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly error: ErrorBody | undefined
  readonly closed: Closed

  constructor(error: ErrorBody | undefined, closed: Closed) {
    super(`the server refused the connection: ${JSON.stringify(error ?? closed)}`)
    this.error = error
    this.closed = closed
  }
}

/** What a client needs of a transport. */
export interface Link {
  send(frame: unknown): void
  /** Ends the connection; the queue's `end` is called when it has ended. */
  close(code?: number, reason?: string): void
  /**
   * Resolves when everything has arrived that the server has sent until now. Absent: an answer comes in order with all
   * the rest.
   */
  settle?(): Promise<void>
}

export interface TestClient extends AsyncDisposable {
  /** The first frame. */
  readonly welcome: Frame
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<Closed>
  send(frame: OutgoingFrame): void
  /**
   * Sends a frame with an id and resolves with what answers it, an `error` too. Answers are not queued.
   */
  request(frame: OutgoingFrame): Promise<Frame>
  /**
   * Takes the first frame out of the queue, or the first of this type, which may not have come yet. Rejects where none
   * comes in time or the connection ends first.
   */
  next(type?: string): Promise<Frame>
  /**
   * Takes everything out of the queue after a round trip: what the server sent to this connection before it answered is
   * all there. So, after the acknowledgement of a publish, it proves that this client was not sent it.
   */
  received(): Promise<Frame[]>
  close(code?: number, reason?: string): Promise<Closed>
}

let ids = 0
let marks = 0

/** A message that says nothing: where it has arrived, everything has that was sent before it. It is not queued. */
const MARK = 'kit.mark'

/** A mark that no other is like: the message to publish for {@link QueueingClient.marked}. */
export function newMark(): { readonly type: string; readonly payload: { readonly mark: string } } {
  return { type: MARK, payload: { mark: `${process.pid}-${++marks}` } }
}

/** A client over any link. The link hands it what comes, in order, and its end. */
export class QueueingClient implements TestClient {
  readonly closed: Promise<Closed>
  private readonly link: Link
  private readonly queue: Frame[] = []
  private readonly answers = new Map<string, Frame | undefined>()
  private readonly marks = new Set<string>()
  private readonly changes = new Changes()
  private readonly resolveClosed: (closed: Closed) => void
  private ended: Closed | undefined
  private first: Frame | undefined

  constructor(link: Link) {
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    this.resolveClosed = resolve
    this.link = link
  }

  get welcome(): Frame {
    if (this.first === undefined) throw new Error('there was no welcome yet')
    return this.first
  }

  /** Takes a frame from the link. */
  take(frame: Frame): void {
    if (frame.type === MARK) {
      this.marks.add(bodyOf<{ mark: string }>(frame).mark)
      this.changes.tell()
      return
    }
    const id = frame.correlation_id
    if (id !== undefined && this.answers.has(id) && this.answers.get(id) === undefined) this.answers.set(id, frame)
    else this.queue.push(frame)
    this.changes.tell()
  }

  /** The link has ended. */
  end(closed: Closed): void {
    this.ended ??= closed
    this.resolveClosed(this.ended)
    this.changes.tell()
  }

  /** Resolves when the server has said `welcome`; rejects with a `RefusedError` where it did not. */
  async opened(): Promise<this> {
    const frame = await this.changes.until(
      () => this.queue.shift() ?? (this.ended && ('ended' as const)),
      () => 'the server said nothing',
    )
    if (frame !== 'ended' && frame.type === 'welcome') {
      this.first = frame
      return this
    }
    throw new RefusedError(frame === 'ended' ? undefined : bodyOf<ErrorBody>(frame), await this.closed)
  }

  send(frame: OutgoingFrame): void {
    this.link.send(frame)
  }

  async request(frame: OutgoingFrame): Promise<Frame> {
    const id = typeof frame['id'] === 'string' ? frame['id'] : `t-${++ids}`
    this.answers.set(id, undefined)
    this.link.send({ ...frame, id })
    try {
      return await this.changes.until(
        () => this.answers.get(id) ?? this.failIfEnded(`an answer to ${frame.type}`),
        () => this.missing(`an answer to ${frame.type}`),
      )
    } finally {
      this.answers.delete(id)
    }
  }

  next(type?: string): Promise<Frame> {
    const wanted = type ?? 'a frame'
    return this.changes.until(
      () => {
        const index = this.queue.findIndex((frame) => type === undefined || frame.type === type)
        return index < 0 ? this.failIfEnded(wanted) : this.queue.splice(index, 1)[0]
      },
      () => this.missing(wanted),
    )
  }

  async received(): Promise<Frame[]> {
    if (this.link.settle !== undefined) await this.link.settle()
    else await this.request({ type: 'ping' })
    return this.queue.splice(0)
  }

  /** Resolves when this mark has come, or the connection has ended. */
  async marked(mark: string): Promise<void> {
    await this.changes.until(
      () => (this.marks.delete(mark) ? true : this.ended),
      () => this.missing('a mark'),
    )
  }

  close(code?: number, reason?: string): Promise<Closed> {
    this.link.close(code, reason)
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private failIfEnded(wanted: string): undefined {
    if (this.ended !== undefined) throw new Error(`${this.missing(wanted)}; closed ${JSON.stringify(this.ended)}`)
  }

  private missing(wanted: string): string {
    return `expected ${wanted}, found ${JSON.stringify(this.queue)}`
  }
}

/** What a frame carries, which is under `data` where the client asked for that. */
export function bodyOf<Body>(frame: Frame): Body {
  return (frame.payload ?? frame['data']) as Body
}
