/**
 * One client that polls, and its session. What is stored it reads from the log, from the position that the client brings;
 * what is not stored waits for it here. Between two polls it stays a connection like any other.
 */
import type { Batch } from '../core/catch-up.ts'
import type { Fetching } from '../core/fetching.ts'
import type { Hub } from '../core/hub.ts'
import { Session } from '../core/session.ts'
import type { Wire } from '../core/wire.ts'
import { formatCursor } from '../protocol/cursor.ts'
import type { Encoded } from '../protocol/encoding.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import type { Admitted } from './handshake.ts'
import { takeBatch, type Waiting } from './poll-batch.ts'

/** What a poll is answered with. */
export interface PollAnswer {
  /** The session's home, where it is another instance. */
  readonly instance?: string
  readonly connectionId: string
  readonly cursor: string
  /** Frames, encoded. */
  readonly messages: readonly string[]
}

/** A poll that is held. */
interface Held {
  /** What the client brought, to be given back where nothing came of the poll. */
  readonly brought: number | undefined
  /** Where the client is with what the session was begun for without it, until that is known to the session. */
  goesBackTo: number | undefined
  /** Everything up to here was looked at: there is nothing for this client. */
  after: number | undefined
  readonly answer: (answer: PollAnswer) => void
  readonly fail: (error: unknown) => void
  /** Ends the watch for the client's leaving. */
  readonly unwatch: () => void
}

export class PollConnection implements Wire {
  readonly transport = 'poll'
  readonly native = false
  readonly silence = 'watched'
  readonly session: Session
  /** Whether the client has not heard of this session yet: it was begun for a frame of the one that it goes on with. */
  unclaimed = false
  private readonly hub: Hub
  private readonly forget: () => void
  private held: Held | undefined
  /** What is stored nowhere, until the client comes. */
  private waiting: Waiting[] = []
  private waitingBytes = 0
  /** Of the poll that is held, or else of the client's coming. */
  private timer: ReturnType<typeof setTimeout> | undefined
  /** The newest stored message that the client was told of. */
  private newest = 0
  private looking = false

  /** @param forget called when there will be nothing more to fetch. */
  constructor(hub: Hub, { init }: Admitted, forget: () => void) {
    this.hub = hub
    this.forget = forget
    this.session = new Session(init, this)
    this.awaitClient()
  }

  /** Whether the session has ended and its client knows all about it. */
  get over(): boolean {
    return this.session.closed && this.waiting.length === 0
  }

  /**
   * The client comes. A poll of it that is held is let go.
   * @param cursor its position; absent: it goes on after what it was given last.
   * @param holdMs milliseconds to wait for something.
   * @returns rejects where the log cannot be read, or the client leaves.
   */
  come(cursor: number | undefined, holdMs: number, signal: AbortSignal): Promise<PollAnswer> {
    const goesBackTo = this.unclaimed ? cursor : undefined
    this.unclaimed = false
    this.letGo()
    if (cursor !== undefined) this.arrived(cursor)
    else this.hub.alive(this.session)
    return new Promise((resolve, reject) => {
      const leave = () => this.drop(held)
      signal.addEventListener('abort', leave, { once: true })
      const unwatch = () => signal.removeEventListener('abort', leave)
      const held: Held = { brought: cursor, goesBackTo, after: cursor, answer: resolve, fail: reject, unwatch }
      this.held = held
      clearTimeout(this.timer)
      if (this.session.closed) {
        this.sayFarewell(held)
        return
      }
      this.timer = setTimeout(() => void this.look(true), holdMs)
      void this.look(false)
    })
  }

  /** Something stored is on its way to this client; it can be read as soon as it was delivered to everybody. */
  wake(cursor: number): void {
    this.newest = cursor
    if (this.held === undefined || this.looking) return
    this.looking = true
    const reached = this.hub.line.reached(cursor)
    if (reached === undefined) this.lookSoon()
    else void reached.then(() => this.lookSoon())
  }

  send(data: Encoded): void {
    const { fetching } = this.session
    // What is said before the first fetch comes before everything that is replayed.
    const after = fetching?.begun ? this.hub.line.delivered : (fetching?.position ?? 0)
    this.waiting.push({ after, data: data as string })
    const bytes = Buffer.byteLength(data)
    this.waitingBytes += bytes
    if (this.held === undefined) this.hub.pressure(bytes)
    if (this.held === undefined || this.looking) return
    this.looking = true
    this.lookSoon()
  }

  sendAll(batch: readonly Encoded[]): void {
    for (const data of batch) this.send(data)
  }

  /** A request that is held is an open socket, and so a sign of life. */
  probe(): void {
    if (this.held !== undefined) this.hub.alive(this.session)
  }

  bufferedBytes(): number {
    return this.waitingBytes
  }

  end(): void {
    clearTimeout(this.timer)
    const { held } = this
    if (held !== undefined) this.sayFarewell(held)
    else if (this.waiting.length > 0) this.keepFarewell()
    else this.forget()
  }

  subscribe(): void {}

  unsubscribe(): void {}

  publish(): boolean {
    return true
  }

  private arrived(cursor: number): void {
    const { session, hub } = this
    session.fetching?.arrived(Math.min(cursor, hub.line.delivered))
    hub.alive(session, formatCursor(cursor))
  }

  /** Looks at the end of the turn, so that what comes in one turn goes in one answer. */
  private lookSoon(): void {
    setImmediate(() => {
      this.looking = false
      void this.look(false)
    })
  }

  /** Answers the poll that is held if there is something for it, or if its time is up. */
  private async look(timeIsUp: boolean): Promise<void> {
    const { held, session, hub } = this
    const { fetching } = session
    if (held === undefined || fetching === undefined || session.state === 'connecting') return
    try {
      if (held.goesBackTo !== undefined) this.goBack(fetching, held.goesBackTo)
      held.goesBackTo = undefined
      const after = held.after ?? fetching.given
      const batch = await hub.catchUp.fetch(session, fetching, after)
      if (this.held !== held) return
      const { cursor, messages } = this.take(batch, after)
      if (messages.length > 0 || timeIsUp) {
        this.answer(held, cursor, messages)
        return
      }
      held.after = cursor
      if (batch.more || this.newest > cursor) this.wake(this.newest)
    } catch (error) {
      if (this.held !== held) return
      this.leave(held)
      held.fail(error)
    }
  }

  /** Begins where the client is. What was said to it meanwhile comes before what it has missed, as with any beginning. */
  private goBack(fetching: Fetching, position: number): void {
    this.hub.catchUp.goBack(this.session, fetching, position)
    this.waiting = this.waiting.map(({ after, data }) => ({ after: Math.min(after, position), data }))
  }

  private take(batch: Batch, after: number): { cursor: number; messages: string[] } {
    const { session, hub } = this
    const taken = takeBatch(batch, after, this.waiting, session.encoding, hub.clock)
    this.waiting.splice(0, taken.waiting)
    this.waitingBytes = this.waiting.reduce((sum, { data }) => sum + Buffer.byteLength(data), 0)
    session.framesOut += taken.stored
    return taken
  }

  /** @param cursor the client's position after the messages; absent: where it was. */
  private answer(held: Held, cursor: number | undefined, messages: readonly string[]): void {
    const { fetching, connectionId } = this.session
    const position = cursor ?? fetching?.given ?? 0
    if (fetching !== undefined) fetching.given = Math.max(fetching.given, position)
    this.leave(held)
    held.answer({ connectionId, cursor: formatCursor(position), messages })
  }

  /** Keeps what the client was told at the end for as long as it would be waited for. No reason for a process to stay. */
  private keepFarewell(): void {
    this.timer = setTimeout(this.forget, this.hub.config.poll.grace_ms)
    this.timer.unref()
  }

  /** Answers the last poll of a session that has ended: what it was told at its end. */
  private sayFarewell(held: Held): void {
    const messages = this.waiting.map(({ data }) => data)
    this.waiting = []
    this.answer(held, held.brought, messages)
    clearTimeout(this.timer)
    this.forget()
  }

  /** A newer poll has come: the one that is held ends with nothing. */
  private letGo(): void {
    const { held } = this
    if (held !== undefined) this.answer(held, held.brought, [])
  }

  /** The client has given a poll up. */
  private drop(held: Held): void {
    if (this.held !== held) return
    this.leave(held)
    held.fail(new TidingsError('unavailable', 'The client has left'))
  }

  private leave(held: Held): void {
    held.unwatch()
    this.held = undefined
    if (!this.session.closed) this.awaitClient()
  }

  /** Without another poll the session ends. */
  private awaitClient(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.hub.close(this.session, CLOSE.heartbeatTimeout, 'heartbeat_timeout')
    }, this.hub.config.poll.grace_ms)
  }
}
