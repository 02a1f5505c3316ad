/** A runtime for the client whose time, chance and network the test holds in its hands. */
import type { Clock, Environment, Page } from '../../src/client/environment.ts'

interface Timer {
  readonly at: number
  readonly run: () => void
}

export class FakeClock implements Clock {
  private readonly timers = new Set<Timer>()
  private time = 1000

  now(): number {
    return this.time
  }

  set(run: () => void, ms: number): Timer {
    const timer = { at: this.time + Math.max(0, ms), run }
    this.timers.add(timer)
    return timer
  }

  clear(timer: unknown): void {
    this.timers.delete(timer as Timer)
  }

  /** Timers that have not run. */
  get pending(): number {
    return this.timers.size
  }

  /** Runs what is due within so many milliseconds, in order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    await settle()
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.timers.delete(next)
      this.time = Math.max(this.time, next.at)
      next.run()
      await settle()
    }
    this.time = end
  }
}

/** Lets everything that waits for promises alone happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** The server's end of a WebSocket. */
export class FakeSocket {
  binaryType = 'blob'
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  readonly url: URL
  readonly protocols: string[]
  readonly sent: Record<string, unknown>[] = []
  /** Set as soon as either side has closed. */
  closed: number | undefined

  constructor(url: string, protocols: string[]) {
    this.url = new URL(url)
    this.protocols = protocols
  }

  send(data: string): void {
    if (this.closed !== undefined) throw new Error('sent on a closed socket')
    this.sent.push(JSON.parse(data) as Record<string, unknown>)
  }

  close(code = 1000): void {
    this.closed ??= code
  }

  /** Sends to the client. */
  say(...frames: object[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify({ timestamp: 1, ...frame }) })
  }

  /** Closes from the server's side, or breaks. */
  break(code = 1006, reason = ''): void {
    if (this.closed !== undefined) return
    this.closed = code
    this.onclose?.({ code, reason })
  }

  welcome(payload: object = {}): void {
    this.say(welcomeFrame(payload))
  }

  /** The newest frame of a type that the client sent. */
  last(type: string): Record<string, unknown> {
    const frame = this.sent.findLast((sent) => sent['type'] === type)
    if (frame === undefined) throw new Error(`the client sent no ${type}, but ${this.sent.map((sent) => sent['type'])}`)
    return frame
  }

  /** Acknowledges the newest frame of a type. */
  ack(type: string, payload: object = {}): void {
    this.say({ type: 'ack', correlation_id: this.last(type)['id'], payload })
  }

  refuse(type: string, error: object): void {
    this.say({ type: 'error', correlation_id: this.last(type)['id'], payload: error })
  }
}

let connections = 0

export function welcomeFrame(payload: object = {}): object {
  connections++
  return {
    type: 'welcome',
    timestamp: 1,
    payload: {
      connection_id: `connection-${connections}`,
      user_id: 'alice',
      device_id: 'laptop',
      server_time: 1,
      heartbeat: { interval_ms: 25_000, timeout_ms: 60_000 },
      limits: { max_message_bytes: 65_536 },
      rooms: [],
      resume: { session: false, recovered: true, replayed: 0, gaps: [] },
      ...payload,
    },
  }
}

type Answer = Response | Error | 'never'

export class FakeRuntime {
  readonly clock = new FakeClock()
  readonly sockets: FakeSocket[] = []
  readonly requests: { url: URL; init: RequestInit; answer: (answer: Answer) => void }[] = []
  readonly page = new FakePage()
  /** What a chance comes out as. */
  chance = 0.5
  /** What happens to a new socket at once; by default it waits for the test. */
  onSocket: (socket: FakeSocket) => void = () => {}
  /** Answers requests at once; `undefined` leaves one to the test. */
  onRequest: (url: URL, init: RequestInit) => Answer | undefined = () => undefined

  get environment(): Environment {
    const runtime = this
    class Socket extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols)
        runtime.sockets.push(this)
        setImmediate(() => runtime.onSocket(this))
      }
    }
    return {
      clock: this.clock,
      random: () => this.chance,
      fetch: (url, init) => this.fetch(url, init),
      WebSocket: Socket as unknown as NonNullable<Environment['WebSocket']>,
      page: this.page,
    }
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error('the client has opened no socket')
    return socket
  }

  private fetch(address: string, init: RequestInit): Promise<Response> {
    return new Promise((resolve, reject) => {
      const url = new URL(address)
      const answer = (what: Answer): void => {
        if (what === 'never') return
        if (what instanceof Error) reject(what)
        else resolve(what)
      }
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      this.requests.push({ url, init, answer })
      const now = this.onRequest(url, init)
      if (now !== undefined) answer(now)
    })
  }
}

class FakePage implements Page {
  readonly listeners = new Map<string, Set<() => void>>()
  readonly document = {
    visibilityState: 'visible',
    addEventListener: (type: string, listener: () => void) => this.addEventListener(type, listener),
    removeEventListener: (type: string, listener: () => void) => this.removeEventListener(type, listener),
  }

  addEventListener(type: string, listener: () => void): void {
    this.listeners.set(type, (this.listeners.get(type) ?? new Set()).add(listener))
  }

  removeEventListener(type: string, listener: () => void): void {
    this.listeners.get(type)?.delete(listener)
  }

  fire(type: string): void {
    for (const listener of this.listeners.get(type) ?? []) listener()
  }
}

/** An event stream that the test writes. */
export class FakeStream {
  private readonly encoder = new TextEncoder()
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined
  readonly response = new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller
      },
    }),
    { headers: { 'content-type': 'text/event-stream' } },
  )

  write(text: string): void {
    this.controller?.enqueue(this.encoder.encode(text))
  }

  say(...frames: object[]): void {
    for (const frame of frames) {
      const { cursor } = frame as { cursor?: string }
      this.write(
        `${cursor === undefined ? '' : `id: ${cursor}\n`}data: ${JSON.stringify({ timestamp: 1, ...frame })}\n\n`,
      )
    }
  }

  end(): void {
    this.controller?.close()
  }

  fail(error: Error): void {
    this.controller?.error(error)
  }
}

export function jsonResponse(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers })
}

/** What a client went through, as short words. */
export function stateWords(change: {
  state: string
  transport?: string
  retryInMs?: number
  error?: { reason: string }
}): string {
  const { state, transport, retryInMs, error } = change
  return [state, transport, retryInMs !== undefined && `${retryInMs} ms`, error?.reason].filter(Boolean).join(' ')
}
