/** Event streams and polls as they stand on the wire, for tests that look at more than frames. */

import type { Frame, TestServer, Who } from '../../src/testing/index.ts'
import { type PollResult, poll } from '../../src/testing/poll.ts'
import { readEvents, type StreamEvent } from '../../src/testing/sse.ts'
import { Changes } from '../../src/testing/waiting.ts'

type Query = Readonly<Record<string, string>>

function urlOf(server: TestServer, path: string, query: Query): URL {
  const url = new URL(path, server.url)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url
}

async function bearer(server: TestServer, who: Who): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await server.token(who)}` }
}

/** A stream, event by event. */
export class Stream implements AsyncDisposable {
  readonly response: Response
  /** Everything so far. */
  readonly events: StreamEvent[] = []
  /** How the stream ended: `end` in peace, `error` otherwise; absent: it has not. */
  ended: 'end' | 'error' | undefined
  private readonly abort: AbortController
  private readonly changes = new Changes()
  private next = 0

  private constructor(response: Response, abort: AbortController) {
    this.response = response
    this.abort = abort
    if (response.body === null) return
    const end = (how: 'end' | 'error') => () => {
      this.ended = how
      this.changes.tell()
    }
    readEvents(response.body, (event) => {
      this.events.push(event)
      this.changes.tell()
    }).then(end('end'), end('error'))
  }

  static async open(server: TestServer, who: Who, query: Query = {}, headers: Query = {}): Promise<Stream> {
    const abort = new AbortController()
    const response = await fetch(urlOf(server, '/realtime/sse', query), {
      headers: { ...(await bearer(server, who)), ...headers },
      signal: abort.signal,
    })
    return new Stream(response, abort)
  }

  /** The next event that a look finds; what comes before it is passed over. */
  find(wanted: (event: StreamEvent) => boolean): Promise<StreamEvent> {
    return this.changes.until(
      () => {
        for (; this.next < this.events.length; this.next++) {
          const event = this.events[this.next] as StreamEvent
          if (!wanted(event)) continue
          this.next++
          return event
        }
        if (this.ended !== undefined) throw new Error(`the stream ended: ${JSON.stringify(this.events)}`)
        return undefined
      },
      () => `no such event in ${JSON.stringify(this.events)}`,
    )
  }

  /** The next frame of a type, with the id of its event. */
  async frame(type: string): Promise<{ id: string | undefined; frame: Frame }> {
    const { id, data } = await this.find((event) => frameOf(event)?.type === type)
    return { id, frame: JSON.parse(data ?? '') }
  }

  get frames(): Frame[] {
    return this.events.flatMap((event) => frameOf(event) ?? [])
  }

  /** Resolves when the stream has ended. */
  over(): Promise<'end' | 'error'> {
    return this.changes.until(
      () => this.ended,
      () => 'the stream goes on',
    )
  }

  leave(): void {
    this.abort.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave()
  }
}

function frameOf({ data }: StreamEvent): Frame | undefined {
  return data === undefined ? undefined : JSON.parse(data)
}

/** A client that polls by hand. */
export class Poller {
  connectionId = ''
  cursor = ''
  private readonly server: TestServer
  private readonly who: Who

  constructor(server: TestServer, who: Who) {
    this.server = server
    this.who = who
  }

  /** Opens a session and resolves with its first answer. */
  static async open(server: TestServer, who: Who, query: Query = {}): Promise<{ poller: Poller; first: PollResult }> {
    const poller = new Poller(server, who)
    return { poller, first: await poller.poll(query) }
  }

  /** One poll of the session, from where it is; the parameters win. Fails where it is refused. */
  async poll(query: Query = {}, signal?: AbortSignal): Promise<PollResult> {
    const result = await this.ask(query, signal)
    if (result instanceof Response) throw new Error(`refused with ${result.status}: ${await result.text()}`)
    this.connectionId = result.connection_id
    this.cursor = result.cursor
    return result
  }

  async ask(query: Query = {}, signal?: AbortSignal): Promise<PollResult | Response> {
    const going = this.connectionId === '' ? {} : { connection_id: this.connectionId, cursor: this.cursor }
    return poll(
      urlOf(this.server, '/realtime/poll', { ...going, ...query }),
      await bearer(this.server, this.who),
      signal,
    )
  }
}

/** Posts frames and gives the status and the body. */
export async function post(server: TestServer, who: Who, body: unknown, query: Query = {}) {
  const response = await fetch(urlOf(server, '/realtime/send', query), {
    method: 'POST',
    headers: { ...(await bearer(server, who)), 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  // biome-ignore lint/suspicious/noExplicitAny: a test names the fields that it expects; a wrong one fails there.
  return { status: response.status, headers: response.headers, body: (await response.json()) as any }
}
