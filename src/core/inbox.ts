/** How far each device has come with its inbox. The log remembers it; here is decided what counts. */
import type { CatchUp } from './catch-up.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import type { MessageLog } from './ports/log.ts'
import type { Session } from './session.ts'

export class Inbox {
  private readonly log: MessageLog
  private readonly catchUp: CatchUp

  constructor(log: MessageLog, catchUp: CatchUp) {
    this.log = log
    this.catchUp = catchUp
  }

  /** From where a device without a cursor goes on: its own position, at first the newest of the user's devices. */
  startOf(session: Session): MaybePromise<number> {
    return whenReady(this.log.positions(session.userId, session.deviceId), ({ own, newest }) => own ?? newest ?? 0)
  }

  /** Notes that a device is there and how far it is: from its first connect on it has a position of its own. */
  begin(session: Session, position: number): void {
    if (session.durableDevice) this.log.acknowledge(session.userId, session.deviceId, position)
  }

  /** A device has processed everything up to a cursor. What was not sent to this connection cannot have been. */
  acknowledge(session: Session, cursor: number): void {
    if (!session.durableDevice) return
    this.log.acknowledge(session.userId, session.deviceId, Math.min(cursor, this.catchUp.positionOf(session)))
  }

  /** The client's socket has answered a ping that carried a position: what came before the ping has arrived. */
  arrived(session: Session, cursor: number): void {
    if (!session.explicitAck) this.acknowledge(session, cursor)
  }
}
