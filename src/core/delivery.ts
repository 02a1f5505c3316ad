/** Hands a message to the connections of this process: a room's members, a user's devices, one device, everybody. */
import { ENCODINGS, type Encoding } from '../protocol/encoding.ts'
import { Broadcaster } from './broadcaster.ts'
import type { Message } from './message.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'
import { deviceTopic, Topic, userTopic } from './topic.ts'
import type { NativeTopics } from './wire.ts'

export class Delivery {
  /** Everybody's topic. */
  readonly everybody = new Topic('all')
  readonly broadcaster: Broadcaster
  private readonly registry: Registry
  private readonly native: NativeTopics
  private readonly onPressure: () => void

  constructor(registry: Registry, native: NativeTopics, onPressure: () => void) {
    this.registry = registry
    this.native = native
    this.onPressure = onPressure
    this.broadcaster = new Broadcaster(native, onPressure)
  }

  /** Subscribes a new session to what is its own: its user, its device, everybody. */
  attach(session: Session): void {
    if (session.native) this.subscribeOwn(session)
    this.everybody.subscribe(session)
  }

  /** Takes a session off the native topics, because it catches up: from now on it is written to one by one. */
  suspend(session: Session): void {
    if (!session.wire.native) return
    session.wire.unsubscribe(userTopic(session.encoding, session.userId))
    session.wire.unsubscribe(deviceTopic(session.encoding, session.userId, session.deviceId))
    for (const { topic } of [...session.subscriptions]) topic.readmit(session)
  }

  /** Places a session anew in all its topics after it has caught up. */
  readmit(session: Session): void {
    if (session.native) this.subscribeOwn(session)
    for (const { topic } of [...session.subscriptions]) topic.readmit(session)
  }

  /** Ends what {@link attach} began. The native topics of a socket that is gone have ended with it. */
  detach(session: Session): void {
    this.everybody.unsubscribe(session)
  }

  /** Hands a message to a user's connections but `except`; answers how many there are. */
  toUser(userId: string, message: Message, except?: Session): number {
    const own = except?.userId === userId ? except : undefined
    return this.toOwn(this.registry.byUser.get(userId), message, own, (encoding) => userTopic(encoding, userId))
  }

  /** Hands a message to the connections of one device of a user but `except`; answers how many there are. */
  toDevice(userId: string, deviceId: string, message: Message, except?: Session): number {
    const own = except?.userId === userId && except.deviceId === deviceId ? except : undefined
    return this.toOwn(this.registry.ofDevice(userId, deviceId), message, own, (encoding) =>
      deviceTopic(encoding, userId, deviceId),
    )
  }

  private subscribeOwn(session: Session): void {
    session.wire.subscribe(userTopic(session.encoding, session.userId))
    session.wire.subscribe(deviceTopic(session.encoding, session.userId, session.deviceId))
  }

  private toOwn(
    sessions: Iterable<Session>,
    message: Message,
    except: Session | undefined,
    topic: (encoding: Encoding) => string,
  ): number {
    let online = 0
    /** A bit for each encoding in which the native topic has a member. */
    let encodings = 0
    for (const session of sessions) {
      if (session === except) continue
      online++
      if (session.native) {
        session.framesOut++
        encodings |= 1 << session.encoding.index
      } else {
        session.deliver(message)
      }
    }
    for (const encoding of ENCODINGS) {
      if ((encodings & (1 << encoding.index)) === 0) continue
      const name = topic(encoding)
      const data = message.encode(encoding)
      const without = except !== undefined && !except.closed && except.encoding === encoding && except.native
      const flowing = without ? except.wire.publish(name, data) : this.native.publish(name, data)
      if (!flowing) this.onPressure()
    }
    return online
  }
}
