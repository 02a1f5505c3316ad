/** Hands the messages of the log to the connections of this process: what the delivery line calls for each. */
import type { Delivery } from './delivery.ts'
import type { Deliver } from './line.ts'
import { Message } from './message.ts'
import type { Registry } from './registry.ts'
import type { Rooms } from './rooms.ts'
import { parseLogTopic } from './stored-topics.ts'

export interface StoredDeliveryDeps {
  readonly registry: Registry
  readonly delivery: Delivery
  readonly rooms: () => Rooms
}

export function storedDelivery({ registry, delivery, rooms }: StoredDeliveryDeps): Deliver {
  return ({ topic, device, body, cursor, origin }, done) => {
    const message = Message.stored(body, cursor)
    const except = origin === undefined ? undefined : registry.get(origin)
    except?.published(cursor)
    const { kind, name } = parseLogTopic(topic)
    if (kind === 'room') {
      const room = rooms().get(name)
      if (room === undefined) done()
      else delivery.broadcaster.publish(room.topic, message, except, done)
      return
    }
    if (device === undefined) delivery.toUser(name, message, except)
    else delivery.toDevice(name, device, message, except)
    done()
  }
}
