/**
 * The load: clients over bare TCP sockets, driven by a case, in a process of its own on a core of its own.
 * Whatever is done per frame here is done some million times a second: keep it to a few loads and a counter.
 */

import type { Deployment, Endpoint, Measured, Transport } from './case.ts'
import { Client } from './client.ts'
import { ACK } from './frames.ts'
import { Publisher } from './publisher.ts'
import { signToken } from './tokens.ts'
import { busySeconds, cpuSeconds, LOAD_CORE } from './usage.ts'

/** What the load process is told, as JSON in its first argument. */
export interface Task extends Deployment {
  case: string
  role: 'run' | 'assist'
  /** Which of the helpers this is; absent: it is the only one. Each connects from an address of its own. */
  helper?: number
  secret: string
  quick: boolean
  /** Added to the query of every handshake. */
  query: string
  /** How clients receive, where a case does not say. */
  transport: Transport
}

export interface OpenOptions {
  /** Rooms to join in the handshake. */
  rooms?: (index: number) => string[]
  /** Handshakes at a time. */
  window?: number
  transport?: Transport
  /** Which of the servers they connect to. Default: the first. */
  server?: Endpoint
  /** Where everybody resumes from. */
  cursor?: number
}

/** Handshakes at a time: enough to keep a server busy, less than a listen queue holds. */
const OPEN_WINDOW = 64
/** Some ten thousand publishes. */
const WARM_UP_MS = 3000
const QUICK_WARM_UP_MS = 1000
/** Quiet for so long means that gathered presence, at most one frame a second, is over. */
const QUIET_MS = 1500
const QUIET_AT_MOST_MS = 20_000
/** Long enough that no closed loop of a case is mistaken for a stall. */
const STALL_MS = 15_000

export class Load {
  readonly task: Task
  /** Data frames that came to open clients. */
  frames = 0
  /** Called for every data frame of an open client. */
  onFrame: (client: Client, signature: number, bytes: number) => void = ignore
  /** Called after everything that one read gave, so that a case can answer it with one write. */
  onChunk: (client: Client) => void = ignore

  /** Cores in use during `measure`, and its length. `others_cpu`: of the servers' cores, by none of us. */
  readonly usage = { seconds: 0, load_cpu: 0, server_cpu: 0, redis_cpu: 0, others_cpu: 0 }
  /** Helpers that are there. */
  readonly #helpers: number[] = []
  #users = 0
  #reject: (error: Error) => void = ignore
  readonly #failed: Promise<never>

  constructor(task: Task) {
    this.task = task
    this.#failed = new Promise((_, reject) => {
      this.#reject = reject
    })
    this.#failed.catch(ignore)
  }

  /** The server; of a cluster the first instance. */
  get server(): Endpoint {
    const [first] = this.task.servers
    if (first === undefined) throw new Error('there is no server')
    return first
  }

  /** Takes the first figure in a full run, the second in a quick one. */
  size(full: number, quick: number): number {
    return this.task.quick ? quick : full
  }

  /** Ends the run: what was measured would be of something else. */
  fail(reason: string): void {
    this.#reject(new Error(reason))
  }

  /** What a promise gives, unless the run fails or nothing happens for long. */
  async until<T>(promise: Promise<T>, what: string): Promise<T> {
    let frames = -1
    let stalled: ReturnType<typeof setInterval> | undefined
    const stall = new Promise<never>((_, reject) => {
      stalled = setInterval(() => {
        if (frames === this.frames) reject(new Error(`nothing came for ${STALL_MS} ms while waiting for ${what}`))
        frames = this.frames
      }, STALL_MS)
    })
    try {
      return await Promise.race([promise, this.#failed, stall])
    } finally {
      clearInterval(stalled)
    }
  }

  /** Opens clients, each a user and device of its own, and waits for every `welcome`. */
  open(count: number, options: OpenOptions = {}): Promise<Client[]> {
    const transport = options.transport ?? this.task.transport
    const { server = this.server } = options
    const requests = Array.from({ length: count }, (_, i) =>
      this.#request(transport, options.rooms?.(i) ?? [], server, options),
    )
    return this.until(this.#openAll(requests, transport, server, options.window ?? OPEN_WINDOW), `${count} welcomes`)
  }

  /**
   * Publishes between two clients in a room of their own, for the compilers of both sides: a server that has run for a
   * minute has its paths compiled, and compiling while the case runs would take time from the server's core.
   */
  async warmUp(): Promise<void> {
    const room = 'warm0'
    const [sender] = await this.open(1, { rooms: () => [room], transport: 'websocket' })
    if (sender === undefined) return
    await this.open(1, { rooms: () => [room] })
    const publisher = new Publisher(sender, room, 1)
    const end = performance.now() + this.size(WARM_UP_MS, QUICK_WARM_UP_MS)
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.onFrame
    this.onFrame = (client, signature) => {
      if (client !== sender || signature !== ACK) return
      if (performance.now() < end) publisher.send(1)
      else resolve()
    }
    publisher.send(1)
    await this.until(promise, 'the warm-up')
    this.onFrame = before
  }

  /** Waits until no data frame has come for a while. */
  async settle(): Promise<void> {
    const deadline = performance.now() + QUIET_AT_MOST_MS
    for (let before = -1; before !== this.frames; ) {
      if (performance.now() > deadline) throw new Error('frames keep coming though nothing is published')
      before = this.frames
      await Bun.sleep(QUIET_MS)
    }
  }

  /** Runs the measured part and notes what it cost both processes. */
  async measure<T>(part: () => Promise<T>, what: string): Promise<T> {
    const before = this.#used()
    const start = performance.now()
    const result = await this.until(part(), what)
    const seconds = (performance.now() - start) / 1000
    const after = this.#used()
    const { usage } = this
    usage.seconds = seconds
    usage.load_cpu = (after.load - before.load) / seconds
    usage.server_cpu = (after.server - before.server) / seconds
    usage.redis_cpu = (after.redis - before.redis) / seconds
    const ours = usage.server_cpu + usage.redis_cpu + (this.task.cores.includes(LOAD_CORE) ? usage.load_cpu : 0)
    usage.others_cpu = (after.busy - before.busy) / seconds - ours
    return result
  }

  /** What `measure` noted, and the server's time for each of the `operations` that the case counted. */
  cost(measured: Measured): Measured {
    const { operations } = measured
    const { redis_cpu, server_cpu, seconds, ...usage } = this.usage
    const inCluster = this.task.redis !== undefined
    const found: Measured = { ...usage, seconds, server_cpu, ...(inCluster && { redis_cpu }) }
    if (typeof operations !== 'number') return found
    const each = (cores: number): number => (1e6 * cores * seconds) / operations
    return { ...found, server_us: each(server_cpu), ...(inCluster && { redis_us: each(redis_cpu) }) }
  }

  /**
   * Starts the case's `assist` in one more process on this core; what it measured comes when it ends.
   * @param until when it is {@link released}, where it does not end by itself.
   */
  async assistant(until?: Promise<unknown>): Promise<Measured> {
    const task: Task = { ...this.task, role: 'assist', transport: 'websocket' }
    const child = Bun.spawn([process.execPath, ...process.execArgv, Bun.main, JSON.stringify(task)], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    void until?.finally(() => child.stdin.end())
    const output = await new Response(child.stdout).text()
    if ((await child.exited) !== 0) throw new Error('the assistant failed')
    return JSON.parse(output) as Measured
  }

  /**
   * Starts the case's `assist` in one more process, which is {@link announce ready} before it is needed and ends when it
   * is {@link released}: one of several, because one process may not hold as many connections.
   */
  helper(number: number) {
    const task: Task = { ...this.task, role: 'assist', helper: number }
    const ready = Promise.withResolvers<void>()
    const child = Bun.spawn([process.execPath, ...process.execArgv, Bun.main, JSON.stringify(task)], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
      ipc: () => ready.resolve(),
    })
    this.#helpers.push(child.pid)
    const output = new Response(child.stdout).text()
    void child.exited.then(() => ready.reject(new Error('a helper has ended')))
    return {
      ready: ready.promise,
      release: async (): Promise<Measured> => {
        child.stdin.end()
        const found = await output
        if ((await child.exited) !== 0) throw new Error('a helper failed')
        return JSON.parse(found) as Measured
      },
    }
  }

  /** Says, in a helper, that it is ready. */
  announce(): void {
    process.send?.('ready')
  }

  /** Resolves, in an assistant, when its help is not needed any more. */
  async released(): Promise<void> {
    for await (const _ of Bun.stdin.stream()) {
      // Nothing is said; only the end counts.
    }
  }

  /** Seconds of processor time until now: ours, the servers', Redis', and what their cores have worked for anybody. */
  #used() {
    const { cores, redis, servers } = this.task
    const { user, system } = process.cpuUsage()
    return {
      load: (user + system) / 1e6 + sumOf(this.#helpers, cpuSeconds),
      server: sumOf(servers, ({ pid }) => cpuSeconds(pid)),
      redis: redis === undefined ? 0 : cpuSeconds(redis.pid),
      busy: cores.length === 0 ? Number.NaN : sumOf(cores, busySeconds),
    }
  }

  #openAll(requests: string[], transport: Transport, server: Endpoint, window: number): Promise<Client[]> {
    const clients: Client[] = []
    let started = 0
    let open = 0
    return new Promise((resolve) => {
      const next = (): void => {
        const request = requests[started]
        if (request === undefined) return
        const client = new Client(this, started++, request, transport, () => {
          this.frames++
          if (++open === requests.length) resolve(clients)
          else next()
        })
        clients.push(client)
        this.#connect(client, server)
      }
      for (let i = 0; i < window; i++) next()
    })
  }

  #connect(client: Client, { port }: Endpoint): void {
    // One address has ports for some 28,000 connections to one server.
    const { helper } = this.task
    const own = helper === undefined ? {} : { localAddress: `127.0.0.${2 + helper}` }
    const options = { hostname: '127.0.0.1', port, ...own, data: client, socket: HANDLERS }
    Bun.connect(options).catch((error) => {
      this.fail(`connecting client ${client.index}: ${error}`)
    })
  }

  #request(transport: Transport, rooms: string[], { port }: Endpoint, { cursor }: OpenOptions): string {
    const letter = this.task.role === 'run' ? 'u' : String.fromCharCode(97 + (this.task.helper ?? 0))
    const n = `${letter}${String(this.#users++).padStart(5, '0')}`
    const token = signToken(this.task.secret, { user_id: n, device_id: `d-${n}` })
    const query = new URLSearchParams(this.task.query)
    if (rooms.length > 0) query.set('rooms', rooms.join(','))
    if (cursor !== undefined) query.set('cursor', String(cursor))
    return [
      `GET ${PATHS[transport]}${query.size > 0 ? `?${query}` : ''} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      ...HEADERS[transport],
      `Authorization: Bearer ${token}`,
      '\r\n',
    ].join('\r\n')
  }
}

const PATHS: Record<Transport, string> = { websocket: '/realtime', sse: '/realtime/sse' }
const HEADERS: Record<Transport, string[]> = {
  websocket: [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGlkaW5ncy1iZW5jaC0xNg==',
  ],
  sse: ['Accept: text/event-stream'],
}

const HANDLERS: Bun.SocketHandler<Client> = {
  open: (socket) => socket.data.connected(socket),
  data: (socket, chunk) => socket.data.receive(chunk),
  close: (socket) => socket.data.ended(),
  error: (socket, error) => socket.data.failed(error),
}

function sumOf<T>(items: readonly T[], figure: (item: T) => number): number {
  return items.reduce((sum, item) => sum + figure(item), 0)
}

function ignore(): void {}
