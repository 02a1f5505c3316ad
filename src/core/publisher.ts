/** A publication's way from whoever publishes to the connections: stamped here, delivered there, answered when it is out. */

import { formatCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isReservedType, type ServerFrame } from '../protocol/frames.ts'
import { encodeJson } from '../protocol/json.ts'
import type { Audience } from './audience.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import type { FirstIds } from './first-ids.ts'
import { newMessageId } from './ids.ts'
import type { DeliveryLine } from './line.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { MessageLog, Retention } from './ports/log.ts'
import type { Publication, Published, Recipient } from './publication.ts'
import type { Registry } from './registry.ts'
import type { Relay } from './relay.ts'
import type { Room, RoomRules } from './room.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'
import { roomLog, userLog } from './stored-topics.ts'
import type { Topic } from './topic.ts'

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
  readonly relay: Relay
  readonly audience: Audience
  readonly firstIds: FirstIds
  /** What a user's inbox keeps; no messages: nothing to users is stored. */
  readonly inbox: Retention
}

export class Publisher {
  private readonly deps: PublisherDeps

  constructor(deps: PublisherDeps) {
    this.deps = deps
  }

  /** How a publication is kept; `undefined`: it is for who is there. */
  retentionOf({ to, ephemeral, ask }: Pick<Publication, 'to' | 'ephemeral' | 'ask'>): Retention | undefined {
    if (ephemeral || ask !== undefined || to.kind === 'all') return undefined
    const retention = to.kind === 'room' ? this.deps.rules.ruleFor(to.room).history : this.deps.inbox
    return retention.maxMessages > 0 ? retention : undefined
  }

  /**
   * Publishes. The message has its place in the order when this returns; the answer comes when it was stored, where it is
   * kept, and handed to the last connection: at once for small topics that keep nothing.
   * @throws TidingsError `unavailable` where too much is waiting already, or (rejected) the store cannot be written.
   */
  publish(publication: Publication): MaybePromise<Published> {
    const { to, type, payload, sender, except, ask } = publication
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
      ...(ask && { ack_id: ask.id }),
      timestamp: toTimestamp(at),
    }
    const retention = this.retentionOf(publication)
    if (retention !== undefined) return this.store(publication, frame, retention, id, at)
    const message = new Message(frame)
    const out = this.handOver(to, message, except)
    this.deps.relay.publish(to, message, publication)
    const online = this.online(to, except)
    const first = this.deps.firstIds.of(id, publication.idempotency)
    return whenReady(online, (count) => whenReady(out, () => whenReady(first, (id) => ({ id, online: count }))))
  }

  /**
   * Tells a room's members something that is for who is there, in the server's name.
   * @param except the connection that gets no copy.
   */
  tellRoom(room: Room, frame: ServerFrame, except: Session): void {
    const message = new Message(frame)
    this.deps.delivery.broadcaster.publish(room.topic, message, except)
    this.deps.relay.publish({ kind: 'room', room: room.name }, message)
  }

  /** Hands a message to the connections of this process. */
  private handOver(to: Recipient, message: Message, except: Session | undefined): MaybePromise<void> {
    const { delivery, rooms } = this.deps
    switch (to.kind) {
      case 'user':
        delivery.toUser(to.userId, message, except)
        return
      case 'device':
        delivery.toDevice(to.userId, to.deviceId, message, except)
        return
      case 'room': {
        const room = rooms.get(to.room)
        return room && this.broadcast(room.topic, message, except)
      }
      case 'all':
        return this.broadcast(delivery.everybody, message, except)
    }
  }

  private broadcast(topic: Topic, message: Message, except: Session | undefined): MaybePromise<void> {
    const { broadcaster } = this.deps.delivery
    if (!broadcaster.accepts(topic)) {
      throw new TidingsError('unavailable', 'Too many messages are waiting for this topic', {
        retryAfterMs: BUSY_RETRY_MS,
      })
    }
    let handedOver = false
    let resolve: (() => void) | undefined
    broadcaster.publish(topic, message, except, () => {
      handedOver = true
      resolve?.()
    })
    if (handedOver) return
    return new Promise((done) => {
      resolve = done
    })
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
    // Asked of other instances, it takes about as long as storing does.
    const online = this.online(to, except)
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
    return { id: appended.id, cursor: formatCursor(appended.cursor), online: await online }
  }

  /** The recipients' connections over the whole deployment, but the publisher's own. */
  online(to: Recipient, except?: Session): MaybePromise<number> {
    const own = except !== undefined && this.isFor(to, except) ? 1 : 0
    return this.deps.audience.count(to, this.here(to) - own, own)
  }

  /** The recipients' connections in this process. */
  private here(to: Recipient): number {
    const { registry, rooms, delivery } = this.deps
    switch (to.kind) {
      case 'room':
        return rooms.get(to.room)?.topic.size ?? 0
      case 'user':
        return registry.byUser.count(to.userId)
      case 'device':
        return [...registry.ofDevice(to.userId, to.deviceId)].length
      case 'all':
        return delivery.everybody.size
    }
  }

  private isFor(to: Recipient, session: Session): boolean {
    switch (to.kind) {
      case 'room':
        return this.deps.rooms.get(to.room)?.topic.has(session) ?? false
      case 'user':
        return session.userId === to.userId
      case 'device':
        return session.userId === to.userId && session.deviceId === to.deviceId
      case 'all':
        return true
    }
  }
}
