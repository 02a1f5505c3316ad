/** A publication's way from whoever publishes to the connections: stamped here, delivered there, answered when it is out. */

import { formatCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isReservedType, parseTarget, type Sender, type ServerFrame, type Target } from '../protocol/frames.ts'
import { encodeJson } from '../protocol/json.ts'
import type { Broadcaster } from './broadcaster.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import { newMessageId } from './ids.ts'
import type { DeliveryLine } from './line.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { MessageLog, Retention } from './ports/log.ts'
import type { Registry } from './registry.ts'
import type { RoomRules } from './room.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'
import { roomLog, userLog } from './stored-topics.ts'
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
  /** Wants an answer of each recipient, under this id. Such an event is for who is there: it is not stored. */
  readonly ackId?: string | undefined
  /** To whoever is connected now, never stored. */
  readonly ephemeral?: boolean | undefined
  /** Within a scope a key stores one message, however often it is tried, also after a restart. */
  readonly idempotency?: { readonly scope: string; readonly key: string } | undefined
}

/** What a publisher learns. */
export interface Published {
  readonly id: string
  /** Of a stored message. It names the message and is no position. */
  readonly cursor?: string
  /** The recipients' connections at that moment, without the publisher's own. */
  readonly online: number
}

/** After how long a publisher should try again whose topic has too much waiting: about two rounds of a big broadcast. */
const BUSY_RETRY_MS = 150

/**
 * Bytes of stored messages that may wait for their delivery: as many as may wait to be stored. A publisher that does not wait
 * for acknowledgements could queue without end for a room of many thousands.
 */
const MAX_UNDELIVERED_BYTES = 32 * 1024 * 1024

export interface PublisherDeps {
  readonly clock: Clock
  readonly delivery: Delivery
  readonly registry: Registry
  readonly rooms: Rooms
  readonly rules: RoomRules
  readonly log: MessageLog
  readonly line: DeliveryLine
  /** What a user's inbox keeps; no messages: nothing to users is stored. */
  readonly inbox: Retention
}

export class Publisher {
  private readonly deps: PublisherDeps

  constructor(deps: PublisherDeps) {
    this.deps = deps
  }

  /** How a publication is kept; `undefined`: it is for who is there. */
  retentionOf({ to, ephemeral, ackId }: Pick<Publication, 'to' | 'ephemeral' | 'ackId'>): Retention | undefined {
    if (ephemeral || ackId !== undefined || to.kind === 'all') return undefined
    const retention = to.kind === 'room' ? this.deps.rules.ruleFor(to.room).history : this.deps.inbox
    return retention.maxMessages > 0 ? retention : undefined
  }

  /**
   * Publishes. The message has its place in the order when this returns; the answer comes when it was stored, where it is
   * kept, and handed to the last connection: at once for small topics that keep nothing.
   * @throws TidingsError `unavailable` where too much is waiting already, or (rejected) the store cannot be written.
   */
  publish(publication: Publication): MaybePromise<Published> {
    const { to, type, payload, sender, except, ackId } = publication
    // What clients say was checked with their frames. An application's mistake must not pass for the protocol's own word.
    if (sender === undefined && isReservedType(type))
      throw new Error(`${type} is a type of the protocol's own: choose another name`)
    const id = newMessageId()
    const at = this.deps.clock.now()
    const frame: ServerFrame = {
      type,
      payload,
      id,
      ...(to.kind === 'room' && { room: to.room }),
      ...(sender && { sender }),
      ...(ackId !== undefined && { ack_id: ackId }),
      timestamp: toTimestamp(at),
    }
    const retention = this.retentionOf(publication)
    if (retention !== undefined) return this.store(publication, frame, retention, id, at)
    const { delivery, rooms } = this.deps
    const message = new Message(frame)
    switch (to.kind) {
      case 'user':
        return { id, online: delivery.toUser(to.userId, message, except) }
      case 'device':
        return { id, online: delivery.toDevice(to.userId, to.deviceId, message, except) }
      case 'room': {
        const room = rooms.get(to.room)
        return room === undefined ? { id, online: 0 } : broadcast(delivery.broadcaster, room.topic, id, message, except)
      }
      case 'all':
        return broadcast(delivery.broadcaster, delivery.everybody, id, message, except)
    }
  }

  /** Stored, then told, then acknowledged. What is handed to whom is the delivery line's affair. */
  private async store(
    publication: Publication,
    frame: ServerFrame,
    retention: Retention,
    id: string,
    at: number,
  ): Promise<Published> {
    const { to, idempotency, except } = publication
    if (this.deps.line.waitingBytes > MAX_UNDELIVERED_BYTES) {
      throw new TidingsError('unavailable', 'Too many messages are waiting to be delivered', {
        retryAfterMs: BUSY_RETRY_MS,
      })
    }
    const appended = await this.deps.log.append({
      topic: to.kind === 'room' ? roomLog(to.room) : userLog((to as { userId: string }).userId),
      device: to.kind === 'device' ? to.deviceId : undefined,
      id,
      body: encodeJson(frame),
      at,
      retention,
      idempotency,
      origin: except?.connectionId,
    })
    await this.deps.line.reached(appended.cursor)
    return { id: appended.id, cursor: formatCursor(appended.cursor), online: this.online(to, except) }
  }

  /** The recipients' connections of this process but the publisher's own. */
  private online(to: Recipient, except: Session | undefined): number {
    const { registry, rooms, delivery } = this.deps
    switch (to.kind) {
      case 'room': {
        const topic = rooms.get(to.room)?.topic
        return topic === undefined ? 0 : topic.size - (except !== undefined && topic.has(except) ? 1 : 0)
      }
      case 'user':
        return registry.byUser.count(to.userId) - (except?.userId === to.userId ? 1 : 0)
      case 'device':
        return [...registry.ofDevice(to.userId, to.deviceId)].filter((session) => session !== except).length
      case 'all':
        return delivery.everybody.size - (except === undefined ? 0 : 1)
    }
  }
}

function broadcast(
  broadcaster: Broadcaster,
  topic: Topic,
  id: string,
  message: Message,
  except: Session | undefined,
): MaybePromise<Published> {
  if (!broadcaster.accepts(topic)) {
    throw new TidingsError('unavailable', 'Too many messages are waiting for this topic', {
      retryAfterMs: BUSY_RETRY_MS,
    })
  }
  const published = { id, online: topic.size - (except !== undefined && topic.has(except) ? 1 : 0) }
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
