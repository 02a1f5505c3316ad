/** What the server says, on its way to listeners: each message once, in order, and acknowledged when it was processed. */
import type { ServerFrame } from '../protocol/frames.ts'
import type { Clock } from './environment.ts'
import { FAILED, isPromise, type Listeners } from './listeners.ts'
import { isAfter, Position } from './position.ts'
import { Progress } from './progress.ts'
import { RecentIds } from './recent-ids.ts'
import type { Rooms } from './rooms.ts'
import type { Message } from './types.ts'

/** Milliseconds for which processed messages are gathered into one acknowledgement. */
const ACK_AFTER_MS = 250

export interface IntakePort {
  readonly clock: Clock
  readonly rooms: Rooms
  /** Who listens: everybody, and those who listen to this room. */
  listeners(room: string | undefined): readonly Listeners[]
  /** Who this is, as the server says. */
  isOwn(sender: { user_id: string; device_id: string }): boolean
  /** Sends an acknowledgement. @returns false without a connection. */
  acknowledge(payload: object): boolean
}

export class Intake {
  readonly position: Position
  readonly progress: Progress
  readonly #ids = new RecentIds()
  readonly #port: IntakePort
  #ackTimer: unknown
  /** The newest message of the inbox that was handed on: only the inbox is kept for us, and only that is acknowledged. */
  #inbox: string | undefined
  #acknowledged: string | undefined

  constructor(cursor: string | undefined, port: IntakePort) {
    this.position = new Position(cursor)
    this.progress = new Progress(cursor)
    this.#port = port
  }

  /** Takes a message, as it comes from the stream or as history in an answer. */
  take(frame: ServerFrame): void {
    const { cursor, room, history } = frame
    if (history === true) {
      if (room !== undefined && cursor !== undefined) this.#port.rooms.replayed(room, cursor)
      this.handOn(frame)
      return
    }
    if (cursor === undefined) {
      if (!this.#port.rooms.hold(frame, () => {})) this.handOn(frame)
      return
    }
    if (!this.position.take(cursor)) return
    const before = room !== undefined && this.#port.rooms.isBefore(room, cursor)
    const done = this.progress.begin(cursor)
    this.progress.moved(this.position.cursor)
    if (before) done()
    else if (!this.#port.rooms.hold(frame, done)) this.handOn(frame, done)
  }

  /** The server says how far it has delivered. */
  advance(cursor: unknown): void {
    this.position.advance(cursor)
    this.progress.moved(this.position.cursor)
  }

  /** The server says where it goes on from. */
  reset(cursor: unknown): void {
    this.position.reset(cursor)
    this.progress.moved(this.position.cursor)
  }

  /** Messages that were published here: where a replay brings them back they are known already. */
  known(id: unknown): void {
    if (typeof id === 'string') this.#ids.add(id)
  }

  /** A new connection knows nothing of acknowledgements that may have been under way. */
  reconnected(): void {
    this.#acknowledged = undefined
    if (this.#inbox !== undefined) this.#scheduleAck()
  }

  /** Acknowledges at once what was processed. */
  flush(): void {
    this.#port.clock.clear(this.#ackTimer)
    this.#ackTimer = undefined
    const { cursor } = this.progress
    if (cursor === undefined || this.#inbox === undefined || !isAfter(this.#inbox, this.#acknowledged)) return
    if (isAfter(cursor, this.#acknowledged) && this.#port.acknowledge({ cursor })) this.#acknowledged = cursor
  }

  stop(): void {
    this.#port.clock.clear(this.#ackTimer)
  }

  /**
   * Calls the listeners.
   * @param done called when all of them are done with the message.
   */
  handOn(frame: ServerFrame, done?: () => void): void {
    if (frame.id !== undefined && !this.#ids.add(frame.id)) {
      done?.()
      return
    }
    const message = this.#messageOf(frame)
    const results = this.#port.listeners(message.room).flatMap((listeners) => listeners.call(message))
    if (results.some(isPromise)) void Promise.all(results).then((values) => this.#processed(frame, values, done))
    else this.#processed(frame, results, done)
  }

  #processed(frame: ServerFrame, results: readonly unknown[], done: (() => void) | undefined): void {
    done?.()
    // Nobody listened, or all of them threw: then the one who asked hears nothing and knows.
    const values = results.filter((value) => value !== FAILED)
    if (frame.ack_id !== undefined && values.length > 0) {
      const result = values.find((value) => value !== undefined)
      this.#port.acknowledge({ correlation_id: frame.ack_id, ...(result !== undefined && { result }) })
    }
    // Only messages have an id: what the server says of itself, such as the welcome, is nothing to acknowledge.
    if (frame.cursor === undefined || frame.id === undefined || frame.room !== undefined) return
    if (isAfter(frame.cursor, this.#inbox)) this.#inbox = frame.cursor
    this.#scheduleAck()
  }

  #scheduleAck(): void {
    this.#ackTimer ??= this.#port.clock.set(() => this.flush(), ACK_AFTER_MS)
  }

  #messageOf(frame: ServerFrame): Message {
    const { type, payload, id, cursor, sender, timestamp } = frame
    const room = frame.room ?? roomIdOf(payload)
    return {
      type,
      payload,
      id,
      room,
      cursor,
      sender: sender && { userId: sender.user_id, deviceId: sender.device_id, username: sender.username },
      timestamp,
      history: frame.history === true,
      own: sender !== undefined && this.#port.isOwn(sender),
    }
  }
}

/** Events about a room name it in their payload. */
function roomIdOf(payload: unknown): string | undefined {
  const room = (payload as { room_id?: unknown } | null | undefined)?.room_id
  return typeof room === 'string' ? room : undefined
}
