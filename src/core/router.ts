/** Frames with `to`: who may send what to whom, once for each id, and the answer to the sender. */
import { TidingsError } from '../protocol/errors.ts'
import { type ClientFrame, isReservedType, type Target } from '../protocol/frames.ts'
import type { AckBatches } from './ack-batches.ts'
import type { Exchange } from './exchange.ts'
import type { Idempotency } from './idempotency.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import type { Published, Recipient } from './publication.ts'
import type { Publisher } from './publisher.ts'
import type { RoomRules } from './room.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'

export interface RouterDeps {
  readonly publisher: Publisher
  readonly rooms: Rooms
  readonly rules: RoomRules
  readonly idempotency: Idempotency<Published>
  readonly acks: AckBatches
  /** Who may send to other users: `any`, `none` or `role:NAME`. */
  readonly direct: string
}

export class Router {
  private readonly deps: RouterDeps

  constructor(deps: RouterDeps) {
    this.deps = deps
  }

  /**
   * Publishes a routed frame. It has its place in the order when this returns; the promise, where there is one, is of its
   * acknowledgement, and the session's next frame does not wait for it.
   * @throws TidingsError `forbidden`, `unavailable`.
   */
  route(exchange: Exchange, to: Target): MaybePromise<void> {
    const { session, frame } = exchange
    if (isReservedType(frame.type)) throw new TidingsError('forbidden', "This type is the protocol's own")
    const recipient = recipientOf(session, to)
    const published = whenReady(this.authorise(session, recipient), () => this.publish(session, frame, recipient))
    const { acks } = this.deps
    if (published instanceof Promise) return published.then((answer) => exchange.ackWith(acks, answer))
    exchange.ackWith(acks, published)
  }

  /** Whether a frame will be stored: then the session's next frame that is not waits for it. */
  stores({ to, ephemeral }: ClientFrame, session: Session): boolean {
    return (
      to !== undefined && this.deps.publisher.retentionOf({ to: recipientOf(session, to), ephemeral }) !== undefined
    )
  }

  private publish(session: Session, frame: ClientFrame, to: Recipient): MaybePromise<Published> {
    const { userId, deviceId, identity } = session
    const sender = {
      user_id: userId,
      device_id: deviceId,
      ...(identity.username !== undefined && { username: identity.username }),
    }
    const { type, payload, ephemeral, id } = frame
    const publication = { to, type, payload, sender, except: session.visiting ? undefined : session, ephemeral }
    if (id === undefined) return this.deps.publisher.publish(publication)
    const scope = `${userId}\n${deviceId}`
    return this.deps.idempotency.once(scope, id, () =>
      this.deps.publisher.publish({ ...publication, idempotency: { scope, key: id } }),
    )
  }

  private authorise(session: Session, to: Recipient): MaybePromise<void> {
    switch (to.kind) {
      case 'room':
        return this.deps.rooms.authorisePublish(session, to.room)
      case 'user':
      case 'device':
        return this.allowDirect(session, to.userId)
      case 'all':
        if (!this.deps.rules.isAdmin(session.identity))
          throw new TidingsError('forbidden', 'Only an admin may send to all')
    }
  }

  private allowDirect(session: Session, userId: string): void {
    const { direct, rules } = this.deps
    const { identity } = session
    if (userId === session.userId || direct === 'any' || rules.isAdmin(identity)) return
    if (direct.startsWith('role:') && identity.roles.includes(direct.slice('role:'.length))) return
    throw new TidingsError('forbidden', 'Not allowed to send to other users')
  }
}

/** A device of a frame that names no user is the sender's own. */
function recipientOf({ userId }: Session, to: Target): Recipient {
  return to.kind === 'device' ? { ...to, userId: to.userId ?? userId } : to
}
