/** How far each device has come with its inbox. The log remembers it; here is decided what counts. */
import type { CatchUp } from './catch-up.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import type { MessageLog } from './ports/log.ts'
import type { Session } from './session.ts'
import { userLog } from './stored-topics.ts'

/** From where a device goes on. */
export interface InboxStart {
  readonly cursor: number
  /** One of the user's devices acknowledged up to there; else it is right before the oldest that is kept. */
  readonly known: boolean
  /** The log does not know the device yet. */
  readonly isNew: boolean
}

export class Inbox {
  private readonly log: MessageLog
  private readonly catchUp: CatchUp

  constructor(log: MessageLog, catchUp: CatchUp) {
    this.log = log
    this.catchUp = catchUp
  }

  /** From where a device without a cursor goes on: its own position, at first the newest of the user's devices. */
  startOf(session: Session): MaybePromise<InboxStart> {
    return whenReady(this.log.positions(session.userId, session.deviceId), ({ own, newest }) => {
      const known = own ?? newest
      const isNew = own === undefined
      if (known !== undefined) return { cursor: known, known: true, isNew }
      return whenReady(this.oldest(session), (cursor) => ({ cursor, known: false, isNew }))
    })
  }

  /**
   * Notes that a device is there: from its first connect on it has a position of its own.
   * @param brought the position that the client named, and with it acknowledges, unless it does that explicitly.
   * @param start what {@link startOf} has answered, where it was asked.
   */
  async begin(session: Session, brought: number | undefined, start: InboxStart | undefined): Promise<void> {
    if (!session.durableDevice) return
    if (brought !== undefined && !session.explicitAck) {
      this.acknowledge(session, brought)
      return
    }
    const live = this.catchUp.positionOf(session)
    const { cursor, isNew } = start ?? (await this.startOf(session))
    // With nothing to read it is level: a position that grows old would be taken for one from which something is missing.
    const waiting = await this.log.count(userLog(session.userId), cursor)
    await this.place(session, waiting === 0 ? live : cursor, isNew)
  }

  /** Gives a device its place. One that is new must keep it whatever happens next. */
  private async place(session: Session, cursor: number, isNew: boolean): Promise<void> {
    if (!isNew) {
      this.acknowledge(session, cursor)
      return
    }
    const { userId, deviceId } = session
    try {
      await this.log.introduce(userId, deviceId, cursor)
    } catch {
      // The store says so itself. What is live goes on, and the device is remembered when it can be.
    }
  }

  /** A device has processed everything up to a cursor. What was not sent to this connection cannot have been. */
  acknowledge(session: Session, cursor: number): void {
    if (!session.durableDevice) return
    this.log.acknowledge(session.userId, session.deviceId, Math.min(cursor, this.catchUp.givenTo(session)))
  }

  /**
   * What a device has acknowledged is found wherever it comes back when this is ready.
   * @throws TidingsError (rejected) `unavailable`: it cannot be written down now, and is later.
   */
  settle({ userId, deviceId }: Pick<Session, 'userId' | 'deviceId'>): MaybePromise<void> {
    return this.log.settle?.(userId, deviceId)
  }

  /** The client's socket has answered a ping that carried a position: what came before the ping has arrived. */
  arrived(session: Session, cursor: number): void {
    if (!session.explicitAck) this.acknowledge(session, cursor)
  }

  /** The position right before the oldest message that is kept for a device; what is live where there is none. */
  private oldest(session: Session): MaybePromise<number> {
    const { userId, deviceId } = session
    const live = this.catchUp.positionOf(session)
    const kept = this.log.read({ topics: [userLog(userId)], device: deviceId }, 0, this.log.head(), 1)
    return whenReady(kept, ([first]) => (first === undefined ? live : first.cursor - 1))
  }
}
