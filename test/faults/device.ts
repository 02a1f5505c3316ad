/**
 * A device as somebody might write it who has only read the protocol: the `ws` package, one cursor, reconnecting for ever.
 * What its application gets is accounted for.
 */

import { decode } from '@msgpack/msgpack'
import type { WebSocket } from 'ws'
import type { Frame } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'
import { Application } from './accounting.ts'

export interface DeviceOptions {
  readonly name: string
  /** Where it connects to; asked for each connection, so that it may move. */
  readonly url: () => string
  readonly token: string
  readonly user: string
  readonly rooms?: readonly string[]
  /** How it goes on after a cut: with its cursor in the address, or with a `resume` frame. Default: in the address. */
  readonly resumesBy?: 'address' | 'frame'
  /** Whether it asks for its former connection's rooms, instead of naming them. */
  readonly takesOver?: boolean
  /** Whether it brings its cursor. Without, its inbox goes on from what it has acknowledged. Default: it does. */
  readonly bringsCursor?: boolean
  /** Default: JSON. */
  readonly format?: 'json' | 'msgpack'
  /** More parameters of the address. */
  readonly query?: Readonly<Record<string, string>>
  /** Acknowledges each message explicitly. */
  readonly acknowledges?: boolean
  /** Milliseconds until it comes back after its connection ended. */
  readonly pauseMs?: () => number
}

/** Milliseconds that a connection may take to say `welcome`. */
const PATIENCE_MS = 10_000
/** Milliseconds in which a device comes to where the others are: thousands that have come back are read much at once. */
const CATCH_UP_MS = 60_000
/** Milliseconds between two questions how far it has come, at first and at most: a crowd must not ask all the time. */
const ASK_MS = { first: 20, most: 500 }

export class Device {
  readonly app: Application
  readonly options: DeviceOptions
  /** Milliseconds from dialling to having resumed, once for each return. */
  readonly resumeMs: number[] = []
  /** Milliseconds from publish to here, where a message says when it was sent. */
  readonly latencyMs: number[] = []
  /** Close codes and how often each was seen. */
  readonly closes = new Map<number, number>()
  /** What a server must never do. */
  readonly breaches: string[] = []
  connects = 0
  sessionsKept = 0
  sessionsLost = 0
  notRecovered = 0
  /** How often it was told, while it was connected, that something may be missing. */
  gapsTold = 0
  /** How often it was told that its server leaves. */
  drainsTold = 0
  /** When its connection ended last, by `performance.now`. */
  closedAt = 0
  private socket: WebSocket | undefined
  private connectionId: string | undefined
  private stopped = false
  private ready = false
  private dialled = 0
  private lastOnWire = 0
  private nameRooms = true
  /** While a `resume` frame is under way: everything that comes, to be put in order when it is answered. */
  private collected: Map<number, Frame> | undefined
  /** Topics in which something may be missing before the next message. */
  private readonly gaps = new Set<string>()

  constructor(options: DeviceOptions) {
    this.options = options
    this.app = new Application(options.name)
  }

  /** Connects, and from then on again whenever the connection ends. */
  async start(): Promise<void> {
    this.dial()
    await this.open()
  }

  /** Resolves when it is connected and has resumed. */
  async open(): Promise<void> {
    await until(() => this.ready, CATCH_UP_MS)
  }

  get isOpen(): boolean {
    return this.ready
  }

  /** Resolves when everything up to a cursor has come, or was said to be there. */
  async reaches(cursor: number): Promise<void> {
    let pauseMs = ASK_MS.first
    await until(async () => {
      if (this.app.position >= cursor) return true
      if (this.ready) this.send({ type: 'ping', id: 'level' })
      await Bun.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, ASK_MS.most)
      return false
    }, CATCH_UP_MS)
  }

  send(frame: unknown): void {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame))
  }

  /** Ends the connection in peace; it comes back. */
  hangUp(): void {
    this.socket?.close(4999)
  }

  /** Ends the connection without a word; it comes back. */
  reset(): void {
    const { socket } = this
    if (socket === undefined) return
    this.forget(socket)
    socket.terminate()
    this.ended(1006)
  }

  /** Leaves the connection as it is, unread and unclosed, and comes back by another one. */
  abandon(): void {
    const { socket } = this
    if (socket === undefined) return
    this.forget(socket)
    socket.pause()
    setTimeout(() => socket.terminate(), PATIENCE_MS).unref()
    this.ended(1006)
  }

  /** Ends the connection without a word, and stays away until it is told to come back. */
  leave(): void {
    const { socket } = this
    if (socket === undefined) return
    this.forget(socket)
    socket.terminate()
    this.socket = undefined
    this.ready = false
  }

  /** Comes back after {@link leave}. */
  async comeBack(): Promise<void> {
    this.dial()
    await this.open()
  }

  /** Stops or goes on reading. */
  pause(still: boolean): void {
    if (still) this.socket?.pause()
    else this.socket?.resume()
  }

  stop(): void {
    this.stopped = true
    if (this.socket !== undefined) this.forget(this.socket)
    this.socket?.terminate()
  }

  private dial(): void {
    const { token, rooms = [], query, takesOver, resumesBy, format, bringsCursor = true } = this.options
    const url = new URL('/realtime', this.options.url().replace(/^http/, 'ws'))
    const { position } = this.app
    const again = this.connectionId !== undefined
    for (const [name, value] of Object.entries({ token, ...query })) url.searchParams.set(name, value)
    if (again && bringsCursor && resumesBy !== 'frame') url.searchParams.set('cursor', String(position))
    if (format !== undefined) url.searchParams.set('format', format)
    if (again && takesOver) url.searchParams.set('resume', this.connectionId ?? '')
    if (rooms.length > 0 && (this.nameRooms || !takesOver)) url.searchParams.set('rooms', rooms.join(','))
    this.lastOnWire = 0
    this.dialled = performance.now()
    const socket = new Ws(url, { perMessageDeflate: false, handshakeTimeout: PATIENCE_MS })
    this.socket = socket
    let told = false
    const end = (code: number): void => {
      if (told || this.socket !== socket) return
      told = true
      this.ended(code)
    }
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (this.socket === socket) this.receive((isBinary ? decode(data) : JSON.parse(data.toString())) as Frame, again)
    })
    socket.on('error', () => end(1006))
    socket.on('close', (code: number) => end(code))
  }

  private forget(socket: WebSocket): void {
    socket.removeAllListeners('message')
    socket.removeAllListeners('close')
  }

  private ended(code: number): void {
    this.closes.set(code, (this.closes.get(code) ?? 0) + 1)
    this.closedAt = performance.now()
    this.socket = undefined
    this.ready = false
    this.collected = undefined
    if (this.stopped) return
    setTimeout(() => {
      if (!this.stopped && this.socket === undefined) this.dial()
    }, this.options.pauseMs?.() ?? 5)
  }

  private receive(frame: Frame, again: boolean): void {
    const cursor = Number(frame.cursor ?? 0)
    if (frame.type === 'welcome') this.welcomed(frame, again)
    else if (frame.type === 'resumed') this.resumed(frame.payload as ResumeAnswer)
    else if (frame.type === 'pong') this.app.moveTo(Number((frame.payload as { cursor: string }).cursor))
    else if (frame.type === 'server_draining') this.drainsTold++
    else if (frame.type === 'gap') this.toldOfGap((frame.payload as { rooms?: string[] }).rooms)
    else if (this.collected !== undefined) {
      if (cursor > 0) this.collected.set(cursor, frame)
    } else if (cursor > 0) {
      if (cursor <= this.lastOnWire && frame.type !== 'position') {
        this.breaches.push(`${this.app.name}: ${cursor} came after ${this.lastOnWire} on one connection`)
      }
      this.lastOnWire = Math.max(this.lastOnWire, cursor)
      this.take(frame, cursor)
    }
  }

  private take(frame: Frame, cursor: number): void {
    if (frame.type === 'position') {
      this.app.moveTo(cursor)
      return
    }
    const { key, at } = frame.payload as { key: string; at?: number }
    const topic = frame.room === undefined ? `user:${this.options.user}` : `room:${frame.room}`
    if (this.gaps.delete(topic)) this.app.excuse(topic, cursor - 1)
    this.app.take({ key, topic, cursor, id: frame.id ?? '' })
    if (at !== undefined) this.latencyMs.push(performance.now() - at)
    if (this.options.acknowledges) this.send({ type: 'ack', payload: { cursor: String(cursor) } })
  }

  private welcomed(frame: Frame, again: boolean): void {
    const { connection_id, resume, rooms, cursor } = frame.payload as Welcome
    const { takesOver, resumesBy, bringsCursor = true } = this.options
    this.connects++
    this.nameRooms = false
    if (again && takesOver) {
      if (resume.session) this.sessionsKept++
      else this.sessionsLost++
      if (!resume.session && rooms.length === 0 && this.options.rooms?.length) {
        // What it had is forgotten: it names its rooms itself, from the same cursor. What comes by this one counts for nothing.
        this.nameRooms = true
        this.connectionId = connection_id
        this.reset()
        return
      }
    }
    this.connectionId = connection_id
    for (const { room, cursor: from } of rooms) this.app.expect(`room:${room}`, Number(from))
    if (again && bringsCursor && resumesBy === 'frame') {
      this.collected = new Map()
      this.send({ type: 'resume', id: 'resume', payload: { cursor: String(this.app.position) } })
      return
    }
    if (again && bringsCursor) this.judge(resume)
    else this.app.moveTo(Number(cursor))
    this.settle(again)
  }

  private resumed(answer: ResumeAnswer): void {
    const collected = [...(this.collected ?? [])].sort(([a], [b]) => a - b)
    this.collected = undefined
    this.judge(answer)
    for (const [cursor, frame] of collected) this.take(frame, cursor)
    this.app.moveTo(Number(answer.cursor))
    this.settle(true)
  }

  private judge({ recovered, gaps }: Resume): void {
    if (!recovered) this.notRecovered++
    for (const { room } of gaps) this.missing(room === undefined ? undefined : [room])
  }

  /** Without rooms it may be in everything. */
  private toldOfGap(rooms: readonly string[] | undefined): void {
    this.gapsTold++
    this.missing(rooms ?? this.options.rooms)
    if (rooms === undefined) this.missing(undefined)
  }

  private missing(rooms: readonly string[] | undefined): void {
    for (const room of rooms ?? []) this.gaps.add(`room:${room}`)
    if (rooms === undefined) this.gaps.add(`user:${this.options.user}`)
  }

  private settle(again: boolean): void {
    if (again) this.resumeMs.push(performance.now() - this.dialled)
    this.ready = true
  }
}

interface Resume {
  readonly recovered: boolean
  readonly gaps: readonly { readonly room?: string }[]
}

interface ResumeAnswer extends Resume {
  readonly cursor: string
}

interface Welcome {
  readonly connection_id: string
  readonly cursor: string
  readonly rooms: readonly { readonly room: string; readonly cursor: string }[]
  readonly resume: Resume & { readonly session: boolean }
}
