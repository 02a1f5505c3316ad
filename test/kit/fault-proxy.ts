/**
 * A TCP proxy that breaks what goes through it, on command. It knows no protocol: what it cuts is cut in the middle of a
 * frame, a header or a chunk, as networks do. Only what it is told to forbid or to gather it takes for HTTP requests, each
 * of which begins a piece.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface Faults {
  /** Milliseconds that each piece takes in each direction. */
  delayMs: number
  /** Bytes a second from the server to each client; 0 for no limit. */
  bytesPerSecond: number
  /** Takes everything in these directions and passes nothing on, while connections stay open: nobody is told. */
  blackHole: 'none' | 'up' | 'down' | 'both'
  /** Resets a connection after it has passed so many bytes to its client; 0 for never. */
  cutAfterBytes: number
  /** Resets new connections at once. */
  refuse: boolean
  /** Bytes from a server that a piece may have: 1 sends everything byte by byte; 0 leaves pieces as they come. */
  pieceBytes: number
  /** Answers requests that look like this with 403 itself, as a proxy does that knows no upgrades. */
  forbid: RegExp | undefined
  /** Keeps the answers to requests that look like this until the server has ended them, as a proxy does that gathers. */
  gather: RegExp | undefined
}

const HEALTHY: Faults = {
  delayMs: 0,
  bytesPerSecond: 0,
  blackHole: 'none',
  cutAfterBytes: 0,
  refuse: false,
  pieceBytes: 0,
  forbid: undefined,
  gather: undefined,
}
/** Bytes that wait in one direction before the sender is held back, so that the back-pressure of a slow reader is felt. */
const MAX_QUEUED_BYTES = 64 * 1024

export class FaultProxy implements AsyncDisposable {
  faults: Faults = { ...HEALTHY }
  /** Connections that were ever accepted. */
  accepted = 0
  /** Bytes that black holes have taken. */
  swallowed = 0
  /** Replies lost on request, see {@link dropReplyTo}. */
  repliesDropped = 0
  /** Bytes of answers that were gathered. */
  gathered = 0
  private readonly server: Server
  private readonly links = new Set<Link>()
  private target: { readonly host: string; readonly port: number }
  private replyToDrop: RegExp | undefined

  private constructor(server: Server, target: { host: string; port: number }) {
    this.server = server
    this.target = target
  }

  /** @param url what stands behind it, for example a server's `http://127.0.0.1:3000`. */
  static async start(url: string): Promise<FaultProxy> {
    const { hostname, port } = new URL(url)
    const server = createServer({ noDelay: true })
    const proxy = new FaultProxy(server, { host: hostname, port: Number(port) })
    server.on('connection', (client) => proxy.accept(client))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Connections that are open. */
  get open(): number {
    return this.links.size
  }

  /** From now on, for connections that are open and those to come. */
  set(faults: Partial<Faults>): void {
    this.faults = { ...this.faults, ...faults }
  }

  /** Passes everything on again. What was swallowed is gone. */
  heal(): void {
    this.faults = { ...HEALTHY }
  }

  /** New connections lead to another server, as after a failover. */
  aim(url: string): void {
    const { hostname, port } = new URL(url)
    this.target = { host: hostname, port: Number(port) }
  }

  /** Resets every open connection on both sides, as a failing network does. @returns how many. */
  cut(): number {
    const count = this.links.size
    for (const link of [...this.links]) link.reset()
    return count
  }

  /** Closes every open connection in the ordinary way (FIN), in the middle of whatever was said. */
  hangUp(): void {
    for (const link of [...this.links]) link.end()
  }

  /**
   * Lets the next message through whose bytes match, loses everything that the server says after it on that connection, and
   * resets it: what was asked was done, and nobody knows. Matches within one piece as the network delivers it; what a
   * client masks, as WebSocket clients must, cannot be matched, so that any frame matches `/^/`.
   */
  dropReplyTo(pattern: RegExp): void {
    this.replyToDrop = pattern
  }

  /** Whether this piece from a client is the one whose reply is to be lost; asked once for each. */
  takesReply(chunk: Buffer): boolean {
    if (!this.replyToDrop?.test(chunk.toString('latin1'))) return false
    this.replyToDrop = undefined
    this.repliesDropped++
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.cut()
    await closed
  }

  private accept(client: Socket): void {
    this.accepted++
    if (this.faults.refuse) {
      client.resetAndDestroy()
      return
    }
    const link: Link = new Link(this, client, connect({ ...this.target, noDelay: true }), () => this.links.delete(link))
    this.links.add(link)
  }
}

/** One client's connection and its counterpart to the server. */
class Link {
  private readonly proxy: FaultProxy
  private readonly client: Socket
  private readonly server: Socket
  private passed = 0
  private losesReply = false
  /** Answers that wait until they are whole. */
  private gathering: Buffer[] | undefined

  constructor(proxy: FaultProxy, client: Socket, server: Socket, closed: () => void) {
    this.proxy = proxy
    this.client = client
    this.server = server
    const up = new Pipe(client, server, proxy, () => 0)
    const down = new Pipe(server, client, proxy, (faults) => faults.bytesPerSecond)
    client.on('data', (chunk: Buffer) => {
      if (this.swallows('up', chunk) || this.forbids(chunk)) return
      if (proxy.faults.gather?.test(chunk.toString('latin1'))) this.gathering ??= []
      up.pass(chunk)
      if (proxy.takesReply(chunk)) this.losesReply = true
    })
    server.on('data', (chunk: Buffer) => {
      if (this.losesReply) this.reset()
      else if (this.gathering !== undefined) this.gather(this.gathering, chunk)
      else if (!this.swallows('down', chunk)) this.passDown(down, chunk)
    })
    client.on('end', () => up.end())
    server.on('end', () => {
      for (const chunk of this.gathering ?? []) this.passDown(down, chunk)
      down.end()
    })
    // A reset by the other side is what this proxy is for.
    client.on('error', () => {})
    server.on('error', () => {})
    client.on('close', (failed) => {
      down.stop()
      if (failed) server.resetAndDestroy()
      else up.end()
      closed()
    })
    server.on('close', (failed) => {
      up.stop()
      if (failed) client.resetAndDestroy()
      else down.end()
    })
  }

  reset(): void {
    this.client.resetAndDestroy()
    this.server.resetAndDestroy()
  }

  end(): void {
    this.client.end()
    this.server.end()
  }

  private forbids(chunk: Buffer): boolean {
    if (!this.proxy.faults.forbid?.test(chunk.toString('latin1'))) return false
    this.client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    this.server.destroy()
    return true
  }

  private gather(gathering: Buffer[], chunk: Buffer): void {
    gathering.push(chunk)
    this.proxy.gathered += chunk.length
  }

  private swallows(direction: 'up' | 'down', chunk: Buffer): boolean {
    const { blackHole } = this.proxy.faults
    if (blackHole !== 'both' && blackHole !== direction) return false
    this.proxy.swallowed += chunk.length
    return true
  }

  private passDown(down: Pipe, chunk: Buffer): void {
    const { cutAfterBytes, pieceBytes } = this.proxy.faults
    const left = cutAfterBytes === 0 ? chunk.length : Math.max(0, cutAfterBytes - this.passed)
    const passing = chunk.subarray(0, left)
    this.passed += passing.length
    if (pieceBytes === 0) down.pass(passing)
    else for (let at = 0; at < passing.length; at += pieceBytes) down.pass(passing.subarray(at, at + pieceBytes))
    if (passing.length < chunk.length) down.afterAll(() => this.reset())
  }
}

/** One direction: pieces in order, each when it is due. */
class Pipe {
  private readonly from: Socket
  private readonly to: Socket
  private readonly proxy: FaultProxy
  private readonly rate: (faults: Faults) => number
  private readonly queue: { readonly due: number; readonly chunk?: Buffer; readonly then?: () => void }[] = []
  private queued = 0
  /** When the line is free again, as the bytes a second allow. */
  private free = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private blocked = false

  constructor(from: Socket, to: Socket, proxy: FaultProxy, rate: (faults: Faults) => number) {
    this.from = from
    this.to = to
    this.proxy = proxy
    this.rate = rate
    to.on('drain', () => {
      this.blocked = false
      this.pump()
    })
  }

  pass(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.queue.push({ due: performance.now() + this.proxy.faults.delayMs, chunk })
    this.queued += chunk.length
    this.pump()
  }

  /** Closes the other end when everything is through. */
  end(): void {
    this.afterAll(() => {
      if (!this.to.writableEnded) this.to.end()
    })
  }

  afterAll(then: () => void): void {
    this.queue.push({ due: performance.now() + this.proxy.faults.delayMs, then })
    this.pump()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.queue.length = 0
  }

  private pump(): void {
    clearTimeout(this.timer)
    for (let [next] = this.queue; next !== undefined && !this.blocked; [next] = this.queue) {
      const now = performance.now()
      const due = Math.max(next.due, this.free)
      if (due > now) {
        this.timer = setTimeout(() => this.pump(), due - now)
        break
      }
      this.queue.shift()
      next.then?.()
      if (next.chunk === undefined) continue
      this.queued -= next.chunk.length
      const rate = this.rate(this.proxy.faults)
      if (rate > 0) this.free = Math.max(now, this.free) + (next.chunk.length / rate) * 1000
      if (!this.to.destroyed) this.blocked = !this.to.write(next.chunk)
    }
    if (this.queued > MAX_QUEUED_BYTES || this.blocked) this.from.pause()
    else this.from.resume()
  }
}
