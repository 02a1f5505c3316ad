/** One connection over any transport, by clients that know nothing but the protocol: `ws`, `fetch`, and a small parser. */
import { EventSource } from 'eventsource'
import type { Frame } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'

export type Transport = 'websocket' | 'sse' | 'poll'
export const TRANSPORTS: readonly Transport[] = ['websocket', 'sse', 'poll']

export interface HearingOptions {
  readonly url: string
  readonly token: string
  readonly query?: Readonly<Record<string, string>>
  /** Event streams: the position, as a browser brings it. */
  readonly lastEventId?: string
  /** Called for each frame, with the position that it moves to; absent: it moves none. */
  readonly onFrame?: (frame: Frame, position: number | undefined) => void
  /** Called where the position moves without a frame. */
  readonly onPosition?: (position: number) => void
  /** Seconds that a poll is held. */
  readonly holdS?: number
  /** Milliseconds between an answer and the next poll. */
  readonly pauseMs?: () => number
}

export interface Resume {
  readonly session: boolean
  readonly recovered: boolean
  readonly replayed: number
  readonly gaps: readonly { readonly room?: string; readonly inbox?: true }[]
}

export interface Welcome {
  readonly connection_id: string
  readonly cursor: string
  readonly rooms: readonly { readonly room: string; readonly cursor: string }[]
  readonly resume: Resume
}

/** A connection that is open. */
export abstract class Hearing {
  readonly frames: Frame[] = []
  /** Everything up to here has come. */
  position = 0
  ended = false
  /** Why it ended, where that is known. */
  failure: unknown
  protected readonly options: HearingOptions

  constructor(options: HearingOptions) {
    this.options = options
  }

  /** Connects and resolves after `welcome`; rejects where there is none. */
  static async open(transport: Transport, options: HearingOptions): Promise<Hearing> {
    const hearing =
      transport === 'websocket'
        ? new WsHearing(options)
        : transport === 'sse'
          ? new EventHearing(options)
          : new PollHearing(options)
    await until(() => hearing.frames.length > 0 || hearing.ended)
    if (hearing.frames[0]?.type !== 'welcome')
      throw new Error(`no welcome: ${JSON.stringify(hearing.frames)} ${hearing.failure ?? ''}`)
    return hearing
  }

  get connectionId(): string {
    return this.welcome.connection_id
  }

  get resume(): Resume {
    return this.welcome.resume
  }

  get welcome(): Welcome {
    return payloadOf(this.frames[0] as Frame) as never
  }

  /** Sends a frame and waits for nothing. */
  say(frame: { readonly type: string; readonly [field: string]: unknown }): void {
    void this.ask(frame).catch(() => {})
  }

  /** Ends the connection without a word. */
  abstract cut(): void

  /** Sends a frame and resolves with what answers it. By POST, where the transport itself only receives. */
  async ask(frame: { readonly type: string; readonly [field: string]: unknown }): Promise<Frame> {
    const response = await fetch(this.address('/realtime/send'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'ask', ...frame, connection_id: this.connectionId }),
    })
    const answer = (await response.json()) as Frame
    if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
    return answer
  }

  protected address(path: string, more: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(path, this.options.url)
    const { token, query } = this.options
    for (const [name, value] of Object.entries({ token, ...query, ...more })) url.searchParams.set(name, value)
    return url
  }

  protected take(frame: Frame, position: number | undefined): void {
    if (position !== undefined) this.position = Math.max(this.position, position)
    this.frames.push(frame)
    this.options.onFrame?.(frame, position)
  }

  /** What a frame with a cursor of its own moves the position to. */
  protected static positionOf(frame: Frame): number | undefined {
    return frame.cursor === undefined || frame['history'] === true ? undefined : Number(frame.cursor)
  }
}

class WsHearing extends Hearing {
  private readonly socket: InstanceType<typeof Ws>

  constructor(options: HearingOptions) {
    super(options)
    this.socket = new Ws(this.address('/realtime').href.replace('http', 'ws'), { perMessageDeflate: false })
    this.socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Frame
      this.take(frame, Hearing.positionOf(frame))
    })
    const end = () => {
      this.ended = true
    }
    this.socket.on('error', end)
    this.socket.on('close', end)
  }

  override say(frame: { readonly type: string; readonly [field: string]: unknown }): void {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify(frame))
  }

  override async ask(frame: { readonly type: string; readonly [field: string]: unknown }): Promise<Frame> {
    const id = `ask-${this.frames.length}`
    this.socket.send(JSON.stringify({ ...frame, id }))
    let answer: Frame | undefined
    await until(() => {
      answer = this.frames.find(({ correlation_id }) => correlation_id === id)
      return answer !== undefined || this.ended
    })
    if (answer === undefined) throw new Error('the connection ended')
    return answer
  }

  cut(): void {
    this.socket.removeAllListeners('message')
    this.socket.terminate()
  }
}

class EventHearing extends Hearing {
  private readonly source: EventSource

  constructor(options: HearingOptions) {
    super(options)
    const { lastEventId } = options
    this.source = new EventSource(this.address('/realtime/sse').href, {
      fetch: (input, init) =>
        fetch(input as URL, {
          ...(init as RequestInit),
          headers: { ...init.headers, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) },
        }) as never,
    })
    this.source.onmessage = ({ data, lastEventId: id }) => {
      // The id of an event stays that of the last that had one.
      const frame = JSON.parse(data) as Frame
      this.take(frame, frame['history'] === true || id === '' ? undefined : Number(id))
    }
    this.source.onerror = () => {
      this.ended = true
      this.source.close()
    }
  }

  cut(): void {
    this.source.close()
  }
}

class PollHearing extends Hearing {
  private readonly holdS: number
  private readonly pauseMs: () => number
  private readonly abort = new AbortController()
  private id: string | undefined

  constructor(options: HearingOptions) {
    super(options)
    this.holdS = options.holdS ?? 5
    this.pauseMs = options.pauseMs ?? (() => 0)
    this.position = Number(options.query?.['cursor'] ?? 0)
    this.run().catch((error) => {
      this.failure = this.abort.signal.aborted ? undefined : error
      this.ended = true
    })
  }

  cut(): void {
    this.abort.abort()
  }

  private async run(): Promise<void> {
    while (!this.abort.signal.aborted) {
      const more = {
        timeout: String(this.holdS),
        ...(this.id !== undefined && { connection_id: this.id, cursor: String(this.position) }),
      }
      const response = await fetch(this.address('/realtime/poll', more), { signal: this.abort.signal })
      const answer = (await response.json()) as { connection_id: string; cursor: string; messages: Frame[] }
      if (this.abort.signal.aborted) return
      if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
      this.id = answer.connection_id
      for (const frame of answer.messages) this.take(frame, Hearing.positionOf(frame))
      // As it stands: after a gap it may lie before what was asked for.
      this.position = Number(answer.cursor)
      this.options.onPosition?.(this.position)
      await Bun.sleep(this.pauseMs())
    }
  }
}
