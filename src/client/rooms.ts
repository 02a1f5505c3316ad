/**
 * The rooms that the application wants to be in, and what it takes to be in them again after the connection was lost.
 */
import type { ServerFrame } from '../protocol/frames.ts'
import { ClientError } from './error.ts'
import { isAfter } from './position.ts'

export interface JoinOptions {
  /** Catch up on what the room said after this cursor. */
  readonly since?: string
  /** Begin with the room's last so many messages. */
  readonly history?: number
}

export interface Joined {
  /** Users in the room. */
  readonly participantCount: number
  /** Whether everything since the given cursor was there; absent where none was given. */
  readonly recovered?: boolean
  /** Messages of before that came first. */
  readonly replayed: number
}

export interface RoomsPort {
  /** Sends a join and gives the payload of its ack. */
  join(payload: object): Promise<unknown>
  /** Sends a leave for a room that nobody wants any more. */
  leave(room: string): void
  /** Hands a message on that waited for the history before it. */
  release(frame: ServerFrame): void
  /** A room could not be kept: refused, or not caught up on. */
  trouble(room: string, error: ClientError | undefined, since: string | undefined): void
}

interface Held {
  readonly frame: ServerFrame
  readonly done: () => void
}

interface Entry {
  readonly name: string
  /** `away`: was joined on a connection that is gone. */
  status: 'joining' | 'joined' | 'away'
  /** A join is under way on this connection. */
  asked: boolean
  /** Everything of this room up to here has come, or is not wanted. */
  since: string | undefined
  history: number | undefined
  /** What is live and not after this came before the join. */
  floor: string | undefined
  participants: number
  held: Held[]
  /** Messages that were dropped and will come again. */
  owed: (() => void)[]
  waiting: { resolve: (joined: Joined) => void; reject: (error: ClientError) => void }[]
}

/** Characters of room names in the address: with a token beside them it stays below what proxies take. */
const MAX_NAMED_LENGTH = 2000
/** Messages of one room that wait for its history; more than that go out of order rather than not at all. */
const MAX_HELD = 1000

export class Rooms {
  readonly #entries = new Map<string, Entry>()
  readonly #port: RoomsPort
  #online = false
  /** The position that was said at the door. */
  #from: string | undefined

  constructor(port: RoomsPort) {
    this.#port = port
  }

  participants(name: string): number | undefined {
    return this.#entries.get(name)?.participants
  }

  /** Resolves when the room is joined, on whatever connection that happens. */
  join(name: string, { since, history }: JoinOptions): Promise<Joined> {
    return new Promise((resolve, reject) => {
      const entry = this.#entries.get(name) ?? newEntry(name)
      if (entry.status === 'joined' && since === undefined && history === undefined) {
        resolve({ participantCount: entry.participants, replayed: 0 })
        return
      }
      // The latest comes last: where rooms exclude each other the server keeps the last one named.
      this.#entries.delete(name)
      this.#entries.set(name, entry)
      entry.status = 'joining'
      entry.since = since ?? entry.since
      entry.history = history
      entry.waiting.push({ resolve, reject })
      if (this.#online && !entry.asked) void this.#ask(entry)
    })
  }

  /** @returns false where nobody was in the room. */
  leave(name: string): boolean {
    const entry = this.#entries.get(name)
    if (entry === undefined) return false
    this.#remove(entry, new ClientError('closed', `The room was left`))
    return true
  }

  /** Names for the door, where the position says everything about them: what does not fit is joined afterwards. */
  named(position: string | undefined): string {
    this.#from = position
    let text = ''
    for (const { name, status, since } of this.#entries.values()) {
      if (status === 'joining' || (status === 'away' && !this.#covers(since))) continue
      if (text.length + name.length < MAX_NAMED_LENGTH) text += `${text && ','}${name}`
    }
    return text
  }

  /** A session began, with these rooms. The others are joined again. */
  welcomed(rooms: readonly { room: string; participant_count: number }[]): void {
    this.#online = true
    const counts = new Map(rooms.map(({ room, participant_count }) => [room, participant_count]))
    for (const entry of [...this.#entries.values()]) {
      const count = counts.get(entry.name)
      if (entry.status === 'away' && count !== undefined && this.#covers(entry.since)) this.#settle(entry, count)
      else void this.#ask(entry)
    }
  }

  /** The connection is gone; everything up to the position had come. */
  lost(position: string | undefined): void {
    this.#online = false
    for (const entry of this.#entries.values()) {
      entry.asked = false
      entry.owed.push(...entry.held.map(({ done }) => done))
      entry.held = []
      if (entry.status !== 'joined') continue
      entry.status = 'away'
      entry.since = position
    }
  }

  /** Nothing will be tried any more by itself: whoever waits is told. */
  failPending(error: ClientError): void {
    for (const entry of [...this.#entries.values()]) if (entry.waiting.length > 0) this.#remove(entry, error)
  }

  /** A message of before the join: should the connection go now, the rest is asked for from here. */
  replayed(room: string, cursor: string): void {
    const entry = this.#entries.get(room)
    if (entry?.asked && isAfter(cursor, entry.since)) entry.since = cursor
  }

  /** Whether a live message came before the room was joined: it was history, or was not asked for. */
  isBefore(room: string, cursor: string): boolean {
    const floor = this.#entries.get(room)?.floor
    return floor !== undefined && !isAfter(cursor, floor)
  }

  /** Keeps a live message until the history that is under way has come. @returns false where it need not wait. */
  hold(frame: ServerFrame, done: () => void): boolean {
    const entry = this.#entries.get(frame.room ?? '')
    if (entry === undefined || !entry.asked || entry.held.length >= MAX_HELD) return false
    entry.held.push({ frame, done })
    return true
  }

  /** The server says how many are in a room. */
  counted(room: unknown, count: unknown): void {
    const entry = this.#entries.get(room as string)
    if (entry !== undefined && typeof count === 'number') entry.participants = count
  }

  /** Whether going on from the position at the door misses nothing of a room that had come this far. */
  #covers(since: string | undefined): boolean {
    return this.#from === undefined ? since === undefined : since !== undefined && !isAfter(this.#from, since)
  }

  async #ask(entry: Entry): Promise<void> {
    entry.asked = true
    entry.status = 'joining'
    const { name, since, history } = entry
    const payload = { room: name, ...(since !== undefined ? { since } : history !== undefined && { history }) }
    try {
      this.#acknowledged(entry, since, (await this.#port.join(payload)) as JoinAck)
    } catch (error) {
      this.#refused(entry, error as ClientError)
    }
  }

  #acknowledged(entry: Entry, since: string | undefined, ack: JoinAck): void {
    if (this.#entries.get(entry.name) !== entry) {
      if (!this.#entries.has(entry.name)) this.#port.leave(entry.name)
      return
    }
    entry.floor = ack.cursor
    this.#settle(entry, ack.participant_count, ack)
    if (since !== undefined && ack.recovered === false) this.#port.trouble(entry.name, undefined, since)
  }

  #settle(entry: Entry, participantCount: number, ack?: JoinAck): void {
    const { waiting, held, owed } = entry
    Object.assign(entry, {
      ...newEntry(entry.name),
      status: 'joined',
      floor: entry.floor,
      participants: participantCount,
    })
    const recovered = ack?.recovered
    const joined = { participantCount, replayed: ack?.replayed ?? 0, ...(recovered !== undefined && { recovered }) }
    for (const { resolve } of waiting) resolve(joined)
    for (const done of owed) done()
    for (const { frame, done } of held) {
      this.#port.release(frame)
      done()
    }
  }

  #refused(entry: Entry, error: ClientError): void {
    if (this.#entries.get(entry.name) !== entry) return
    // The next connection asks again.
    if (error.reason === 'connection_lost' || error.reason === 'closed') return
    const wanted = entry.waiting.length > 0
    this.#remove(entry, error)
    if (!wanted) this.#port.trouble(entry.name, error, entry.since)
  }

  #remove(entry: Entry, error: ClientError): void {
    this.#entries.delete(entry.name)
    for (const { reject } of entry.waiting) reject(error)
    for (const done of [...entry.owed, ...entry.held.map((held) => held.done)]) done()
  }
}

interface JoinAck {
  participant_count: number
  cursor?: string
  recovered?: boolean
  replayed?: number
}

function newEntry(name: string): Entry {
  return {
    name,
    status: 'joining',
    asked: false,
    since: undefined,
    history: undefined,
    floor: undefined,
    participants: 0,
    held: [],
    owed: [],
    waiting: [],
  }
}
