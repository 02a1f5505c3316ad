/** What event streams and polling share: frames go out by POST, and one request at a time brings frames in. */
import type { ServerFrame } from '../../protocol/frames.ts'
import type { Environment } from '../environment.ts'
import type { ClientError } from '../error.ts'
import type { TransportName } from '../ladder.ts'
import type { Heartbeat } from '../liveness.ts'
import { endingError } from './closing.ts'
import { failureOf, headersOf, refusalOf } from './refusal.ts'
import { Sender } from './sender.ts'
import { addressOf, type End, type Link, type LinkEvents, type Target } from './transport.ts'

/** Brings frames in until the link is over. Returning or throwing ends it. */
export type Receive = (link: HttpLink, environment: Environment, target: Target, events: LinkEvents) => Promise<unknown>

export class HttpLink implements Link {
  readonly name: TransportName
  readonly needsPing = false
  readonly heartbeat: Heartbeat | undefined
  maxBytes: number | undefined
  connectionId: string | undefined
  over = false
  readonly #environment: Environment
  readonly #target: Target
  readonly #events: LinkEvents
  readonly #sender: Sender
  readonly #leaving = new AbortController()
  #welcomed = false
  /** What the last frame announced the end with. */
  #ending: ClientError | undefined

  constructor(
    [name, receive, heartbeat]: readonly [TransportName, Receive, Heartbeat?],
    environment: Environment,
    target: Target,
    events: LinkEvents,
  ) {
    this.name = name
    this.heartbeat = heartbeat
    this.#environment = environment
    this.#target = target
    this.#events = events
    this.#sender = new Sender(environment, target, {
      answer: (frame) => {
        if (!this.over) events.answer(frame)
      },
      failed: (end) => this.#end(end),
    })
    receive(this, environment, target, events).then(
      () => this.#failed('The stream ended'),
      (cause: unknown) => this.#failed(cause),
    )
  }

  send(frame: object): void {
    this.#sender.send(frame, this.connectionId, this.maxBytes)
  }

  close(): void {
    if (this.over) return
    this.over = true
    // The session ends with its stream, and would be gone before the last acknowledgement came.
    void this.#sender.finish().then(() => this.#stop())
  }

  /** Asks for something to receive. @returns nothing where the link is over. */
  async request(path: string, query: Readonly<Record<string, string>>): Promise<Response | undefined> {
    const { url, token } = this.#target
    const init = { headers: headersOf(token()), cache: 'no-store', signal: this.#leaving.signal } as const
    try {
      const response = await this.#environment.fetch(addressOf(url + path, query), init)
      if (response.ok) return response
      this.#end(await refusalOf(response))
    } catch (cause) {
      this.#end(failureOf(this.#welcomed ? 'lost' : 'unreachable', cause))
    }
    return undefined
  }

  take(frame: ServerFrame): void {
    if (this.over) return
    if (frame.type === 'welcome') this.#welcomed = true
    this.#ending = endingError(frame, this.#welcomed)
    this.#events.frame(frame)
  }

  /** Whether the last frame was the last one. */
  get announced(): boolean {
    return this.#ending !== undefined
  }

  #failed(cause: unknown): void {
    if (this.#ending !== undefined) this.#end({ kind: 'refused', error: this.#ending })
    else this.#end(failureOf(this.#welcomed ? 'lost' : 'blocked', cause))
  }

  #end(end: End): void {
    if (this.over) return
    this.over = true
    this.#stop()
    this.#events.ended(end)
  }

  #stop(): void {
    this.#sender.stop()
    this.#leaving.abort()
  }
}
