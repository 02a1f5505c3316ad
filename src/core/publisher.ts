/** A publication's way from whoever publishes to the connections: stamped here, delivered there, answered when it is out. */
import { TidingsError } from '../protocol/errors.ts'
import { parseTarget, type Sender, type Target } from '../protocol/frames.ts'
import type { Broadcaster } from './broadcaster.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import { newMessageId } from './ids.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'
import type { Topic } from './topic.ts'

/** A target in which a device names its user. */
export type Recipient = Exclude<Target, { kind: 'device' }> | { kind: 'device'; userId: string; deviceId: string }

/** Whom a publication is for, as on the wire. */
export type To = { room: string } | { user_id: string } | { user_id: string; device_id: string } | 'all'

/** @throws TidingsError `invalid_message` where a name is none, or a device stands without its user. */
export function recipientOf(to: To): Recipient {
  const target = parseTarget(to)
  if (target.kind !== 'device') return target
  if (target.userId === undefined) throw new TidingsError('invalid_message', 'A device is named together with its user')
  return { kind: 'device', userId: target.userId, deviceId: target.deviceId }
}

export interface Publication {
  readonly to: Recipient
  readonly type: string
  readonly payload: unknown
  /** Absent on what backends and handlers send. */
  readonly sender?: Sender | undefined
  /** The connection that gets no copy. */
  readonly except?: Session | undefined
  /** Wants an answer of each recipient, under this id. */
  readonly ackId?: string | undefined
}

/** What a publisher learns. */
export interface Published {
  readonly id: string
  /** The recipients' connections at that moment, without the publisher's own. */
  readonly online: number
}

/** After how long a publisher should try again whose topic has too much waiting: about two rounds of a big broadcast. */
const BUSY_RETRY_MS = 150

export class Publisher {
  private readonly clock: Clock
  private readonly delivery: Delivery
  private readonly rooms: Rooms

  constructor(clock: Clock, delivery: Delivery, rooms: Rooms) {
    this.clock = clock
    this.delivery = delivery
    this.rooms = rooms
  }

  /**
   * Publishes. The message has its place in its topic's order when this returns; the answer comes when it was handed to
   * the last connection: at once for small topics.
   * @throws TidingsError `unavailable` where too much is waiting already.
   */
  publish(publication: Publication): MaybePromise<Published> {
    const { to, type, payload, sender, except, ackId } = publication
    const id = newMessageId()
    const message = new Message({
      type,
      payload,
      id,
      ...(to.kind === 'room' && { room: to.room }),
      ...(sender && { sender }),
      ...(ackId !== undefined && { ack_id: ackId }),
      timestamp: toTimestamp(this.clock.now()),
    })
    switch (to.kind) {
      case 'user':
        return { id, online: this.delivery.toUser(to.userId, message, except) }
      case 'device':
        return { id, online: this.delivery.toDevice(to.userId, to.deviceId, message, except) }
      case 'room': {
        const room = this.rooms.get(to.room)
        return room === undefined
          ? { id, online: 0 }
          : broadcast(this.delivery.broadcaster, room.topic, message, except)
      }
      case 'all':
        return broadcast(this.delivery.broadcaster, this.delivery.everybody, message, except)
    }
  }
}

function broadcast(
  broadcaster: Broadcaster,
  topic: Topic,
  message: Message,
  except: Session | undefined,
): MaybePromise<Published> {
  if (!broadcaster.accepts(topic)) {
    throw new TidingsError('unavailable', 'Too many messages are waiting for this topic', {
      retryAfterMs: BUSY_RETRY_MS,
    })
  }
  const own = except?.subscriptionTo(topic) === undefined ? 0 : 1
  const published = { id: message.frame.id as string, online: topic.size - own }
  let handedOver = false
  let resolve: ((published: Published) => void) | undefined
  broadcaster.publish(topic, message, except, () => {
    handedOver = true
    resolve?.(published)
  })
  if (handedOver) return published
  return new Promise((done) => {
    resolve = done
  })
}
