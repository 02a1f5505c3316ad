/** What test clients have in common that receive over HTTP: they say what they have to say by POST. */

import { ERRORS, type ErrorBody } from '../protocol/errors.ts'
import { decodeJson, encodeJson } from '../protocol/json.ts'
import {
  bodyOf,
  type Closed,
  type Frame,
  type Link,
  newMark,
  QueueingClient,
  RefusedError,
  type Welcome,
} from './client.ts'
import { addressOf, type ConnectOptions } from './websocket.ts'

const UNLIMITED = { maxDepth: 0, maxKeys: 0 }
/** Frames of one request at most. */
const BATCH = 100

/** Errors after which the server ends a session. */
const ENDING: ReadonlySet<string> = new Set([
  'token_expired',
  'token_revoked',
  'invalid_token',
  'disconnected',
  'connection_limit',
  'draining',
])

/** The address of something that is received over HTTP. */
export function httpAddressOf(serverUrl: string, path: string, options: ConnectOptions, token: string): URL {
  return new URL(addressOf(serverUrl, { path, ...options }, token).href.replace(/^ws/, 'http'))
}

/** How the end is said where there are no close codes: by the error that came before it. */
export function closedBy(error: ErrorBody | undefined, otherwise = ''): Closed {
  return error === undefined
    ? { code: 1006, reason: otherwise }
    : { code: ERRORS[error.error_code].close, reason: error.error_code }
}

/** Why the server does not let a client in. */
export async function refusalOf(response: Response): Promise<RefusedError> {
  const { error } = (await response.json()) as { error: ErrorBody & { correlation_id?: string } }
  const { correlation_id: _, ...rest } = error
  return new RefusedError(rest, closedBy(rest))
}

export function decodeFrame(text: string): Frame {
  return decodeJson(text, UNLIMITED) as Frame
}

export class HttpLink implements Link {
  readonly client: QueueingClient
  /** Aborted when the client has had enough. */
  readonly leaving = new AbortController()
  private readonly sendUrl: URL
  /** The token of the last `refresh_token`: from then on requests bring it. */
  private fresh: string | undefined
  private readonly headers: Record<string, string>
  private connectionId: string | undefined
  private self: Pick<Welcome, 'user_id' | 'device_id'> | undefined
  private waiting: unknown[] = []
  private posting: Promise<void> | undefined
  private lastError: ErrorBody | undefined

  /** @param url the address that is received from; its credentials are good for POST too. */
  constructor(url: URL, headers: Readonly<Record<string, string>> | undefined) {
    this.sendUrl = new URL('/realtime/send', url)
    for (const name of ['token', 'device_id']) {
      const value = url.searchParams.get(name)
      if (value !== null) this.sendUrl.searchParams.set(name, value)
    }
    this.headers = { ...headers, 'content-type': 'application/json' }
    this.client = new QueueingClient(this)
  }

  /** An address with the credentials that are good now. */
  authorised(url: URL): URL {
    const authorised = new URL(url)
    if (this.fresh !== undefined) authorised.searchParams.set('token', this.fresh)
    return authorised
  }

  /** Whether the server has said that the session is over. */
  get over(): boolean {
    return this.lastError !== undefined
  }

  /** Takes a frame of the stream. */
  take(frame: Frame): void {
    if (frame.type === 'welcome') {
      const { connection_id, user_id, device_id } = bodyOf<Welcome>(frame)
      this.connectionId = connection_id
      this.self = { user_id, device_id }
    }
    if (frame.type === 'error') {
      const error = bodyOf<ErrorBody>(frame)
      this.lastError = ENDING.has(error.error_code) ? error : undefined
    }
    if (frame.type === 'server_draining') this.lastError = { error_code: 'draining' } as ErrorBody
    this.client.take(frame)
  }

  /** @param how what was seen, for an end that the server has not told of. */
  ended(how: string): void {
    this.client.end(closedBy(this.lastError, how))
  }

  send(frame: unknown): void {
    // An answer to the server goes out at once: what it answers may hold up what was sent before.
    if ((frame as Frame).type === 'ack') {
      void this.post([frame])
      return
    }
    this.waiting.push(frame)
    this.posting ??= this.postAll()
  }

  close(code = 1000, reason = ''): void {
    void this.settleSending().then(() => {
      this.leaving.abort()
      this.client.end({ code, reason })
    })
  }

  /** A message to itself comes after everything that was sent to this client before. */
  async settle(): Promise<void> {
    await this.settleSending()
    const mark = newMark()
    await this.request(JSON.stringify({ ...mark, ephemeral: true, to: this.self }))
    await this.client.marked(mark.payload.mark)
  }

  private async settleSending(): Promise<void> {
    while (this.posting !== undefined) await this.posting
  }

  private async postAll(): Promise<void> {
    // What is sent in one turn goes together.
    await undefined
    while (this.waiting.length > 0) await this.post(this.waiting.splice(0, BATCH))
    this.posting = undefined
  }

  private async post(frames: readonly unknown[]): Promise<void> {
    const body = encodeJson(frames.map((frame) => ({ connection_id: this.connectionId, ...(frame as object) })))
    const answers = decodeJson(await this.request(body), UNLIMITED) as (Frame | Frame[])[]
    for (const answer of answers.flat()) {
      const asked = frames.find((frame) => (frame as Frame).id === answer.correlation_id) as Frame | undefined
      if (answer.type === 'ack' && asked?.type === 'refresh_token')
        this.fresh = (asked.payload as { token: string }).token
      // Over HTTP everything is answered, also what asked for no answer.
      if (answer.type !== 'ack' || answer.correlation_id !== undefined) this.client.take(answer)
    }
  }

  private async request(body: string): Promise<string> {
    const response = await fetch(this.authorised(this.sendUrl), { method: 'POST', headers: this.headers, body })
    if (!response.ok) throw new Error(`POST was answered with ${response.status}: ${await response.text()}`)
    return response.text()
  }
}
