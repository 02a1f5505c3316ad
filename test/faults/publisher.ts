/** A publisher that knows of every message what became of it, and tries again under the same id what it does not know. */
import type { WebSocket } from 'ws'
import type { Frame } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'
import type { Attempt, Ledger } from './accounting.ts'

export interface PublisherOptions {
  readonly name: string
  readonly url: () => string
  /** Names a device: an id is known again by user and device. */
  readonly token: string
  readonly ledger: Ledger
  /** What a payload has besides its key. */
  readonly padding?: string
  /**
   * Tries again, under the same id, what was refused for the moment: one message at a time, so that their order is kept.
   * Default: such a message has failed.
   */
  readonly insists?: boolean
  /** Publishes that may be under way. Default: fewer than the ids that a server remembers of one device. */
  readonly underWay?: number
}

const MAX_UNDER_WAY = 200

export class Publisher {
  private readonly options: PublisherOptions
  private readonly underWay = new Map<string, { readonly attempt: Attempt; readonly frame: string }>()
  private socket: WebSocket | undefined
  private stopped = false
  retried = 0
  /** What was refused. */
  readonly errors: Frame[] = []
  connects = 0

  constructor(options: PublisherOptions) {
    this.options = options
  }

  async start(): Promise<void> {
    this.dial()
    await until(() => this.socket?.readyState === 1)
  }

  /** Whether it may publish without leaving too much open. */
  get hasRoom(): boolean {
    const { insists, underWay = MAX_UNDER_WAY } = this.options
    return this.underWay.size < (insists ? 1 : underWay)
  }

  get open(): number {
    return this.underWay.size
  }

  /** Publishes once; what comes of it is entered in the ledger. */
  publish(topic: string, extra: Readonly<Record<string, unknown>> = {}): Attempt {
    const { ledger, name, padding } = this.options
    const attempt = ledger.attempt(topic, name)
    const { key } = attempt
    const id = `${topic.length}-${attempt.number}-${topic}`.slice(0, 64)
    const to = topic.startsWith('room:') ? { room: topic.slice(5) } : { user_id: topic.slice(5) }
    const payload = { key, at: performance.now(), ...(padding !== undefined && { padding }) }
    const frame = JSON.stringify({ type: 'note', id, to, payload, ...extra })
    this.underWay.set(id, { attempt, frame })
    if (this.socket?.readyState === 1) this.socket.send(frame)
    return attempt
  }

  /** Resolves when it knows of everything what became of it. */
  async settled(): Promise<void> {
    await until(() => this.underWay.size === 0)
  }

  /** Publishes evenly over the topics, so many a second in all, until the signal. */
  async run(topics: readonly string[], perSecond: number, signal: AbortSignal): Promise<void> {
    const began = performance.now()
    let sent = 0
    while (!signal.aborted) {
      const due = Math.floor(((performance.now() - began) / 1000) * perSecond)
      // What could not be sent in time is not made up for: a burst would measure something else.
      if (due - sent > perSecond / 4) sent = due - Math.ceil(perSecond / 4)
      while (sent < due && this.hasRoom) this.publish(topics[sent++ % topics.length] as string)
      await Bun.sleep(2)
    }
    await this.settled()
  }

  /** Ends for good; what is under way stays unknown. */
  stop(): void {
    this.stopped = true
    this.socket?.terminate()
  }

  private dial(): void {
    const url = new URL('/realtime', this.options.url().replace(/^http/, 'ws'))
    url.searchParams.set('token', this.options.token)
    const socket = new Ws(url, { perMessageDeflate: false, handshakeTimeout: 10_000 })
    this.socket = socket
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      if (!this.stopped) setTimeout(() => this.dial(), 10)
    }
    socket.on('open', () => {
      this.connects++
      for (const { frame } of this.underWay.values()) {
        if (this.connects > 1) this.retried++
        socket.send(frame)
      }
    })
    socket.on('message', (data: Buffer) => this.receive(JSON.parse(data.toString()) as Frame))
    socket.on('error', end)
    socket.on('close', end)
  }

  private receive(frame: Frame): void {
    if (frame.type !== 'ack' && frame.type !== 'error') return
    const id = frame.correlation_id ?? ''
    const found = this.underWay.get(id)
    if (found === undefined) return
    this.underWay.delete(id)
    const { attempt } = found
    const { ledger } = this.options
    if (frame.type === 'error') {
      this.errors.push(frame)
      const { retry_after_ms } = frame.payload as { retry_after_ms?: number }
      if (this.options.insists && retry_after_ms !== undefined) {
        this.underWay.set(id, found)
        setTimeout(() => this.again(id), retry_after_ms)
      } else ledger.settle(attempt.key, { outcome: 'failed' })
      return
    }
    const answer = frame.payload as { id: string; cursor?: string }
    ledger.settle(attempt.key, { outcome: 'ok', cursor: Number(answer.cursor ?? 0), id: answer.id })
  }

  private again(id: string): void {
    const found = this.underWay.get(id)
    if (found === undefined || this.socket?.readyState !== 1) return
    this.retried++
    this.socket.send(found.frame)
  }
}
