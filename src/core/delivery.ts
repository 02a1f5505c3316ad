/** Hands a message to the connections of this process: a room's members, a user's devices, one device, everybody. */
import { ENCODINGS, type Encoding } from '../protocol/encoding.ts'
import { Broadcaster } from './broadcaster.ts'
import type { Message } from './message.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'
import { deviceTopic, type Member, type Members, Topic, userTopic } from './topic.ts'
import type { NativeTopics } from './wire.ts'

/** Everybody's topic: all connections of this process. Too rare to keep a place in it for each of them. */
class Everybody extends Topic {
  private readonly registry: Registry

  constructor(registry: Registry) {
    super('all')
    this.registry = registry
  }

  override get size(): number {
    return this.registry.size
  }

  override has(member: Member): boolean {
    return !member.closed
  }

  override get looped(): Members {
    return this.registry.sessions
  }
}

export class Delivery {
  readonly everybody: Topic
  readonly broadcaster: Broadcaster
  private readonly registry: Registry
  private readonly native: NativeTopics
  private readonly onPressure: (bytes: number) => void

  constructor(registry: Registry, native: NativeTopics, onPressure: (bytes: number) => void) {
    this.registry = registry
    this.native = native
    this.onPressure = onPressure
    this.everybody = new Everybody(registry)
    this.broadcaster = new Broadcaster(native, onPressure)
  }

  /**
   * Makes a new session reachable as its user and its device. The native topics of those are there from the second
   * connection on: one that is alone in its topic is written to directly, and most are (a native topic costs 410 bytes).
   */
  attach(session: Session): void {
    if (!session.native) return
    const { userId, deviceId } = session
    if (this.registry.byUser.count(userId) === 1) return
    for (const other of this.registry.byUser.get(userId)) {
      if (other === session || isReachable(other)) shareUser(other)
    }
    const device = [...this.registry.ofDevice(userId, deviceId)].filter(
      (other) => other === session || isReachable(other),
    )
    if (device.length > 1) for (const other of device) shareDevice(other)
  }

  /** Takes a session off the native topics, because it catches up: from now on it is written to one by one. */
  suspend(session: Session): void {
    if (session.sharesUser) session.wire.unsubscribe(userTopic(session.encoding, session.userId))
    if (session.sharesDevice) session.wire.unsubscribe(deviceTopic(session.encoding, session.userId, session.deviceId))
    session.sharesUser = false
    session.sharesDevice = false
    for (const { topic } of [...session.subscriptions]) topic.readmit(session)
  }

  /** Places a session anew in all its topics after it has caught up. */
  readmit(session: Session): void {
    this.attach(session)
    for (const { topic } of [...session.subscriptions]) topic.readmit(session)
  }

  /** Hands a message to a user's connections but `except`; answers how many there are. */
  toUser(userId: string, message: Message, except?: Session): number {
    const own = except?.userId === userId ? except : undefined
    return this.toOwn(
      this.registry.byUser.get(userId),
      message,
      own,
      (encoding) => userTopic(encoding, userId),
      (session) => session.sharesUser,
    )
  }

  /** Hands a message to the connections of one device of a user but `except`; answers how many there are. */
  toDevice(userId: string, deviceId: string, message: Message, except?: Session): number {
    const own = except?.userId === userId && except.deviceId === deviceId ? except : undefined
    return this.toOwn(
      this.registry.ofDevice(userId, deviceId),
      message,
      own,
      (encoding) => deviceTopic(encoding, userId, deviceId),
      (session) => session.sharesDevice,
    )
  }

  private toOwn(
    sessions: Iterable<Session>,
    message: Message,
    except: Session | undefined,
    topic: (encoding: Encoding) => string,
    shares: (session: Session) => boolean,
  ): number {
    let online = 0
    /** A bit for each encoding in which the native topic has a member. */
    let encodings = 0
    for (const session of sessions) {
      if (session === except || session.state === 'connecting') continue
      online++
      if (session.native && shares(session)) {
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
      const without = except !== undefined && !except.closed && except.encoding === encoding && shares(except)
      const flowing = without ? except.wire.publish(name, data) : this.native.publish(name, data)
      if (!flowing) this.onPressure(data.length)
    }
    return online
  }
}

/** Whether a session is native and has been told `welcome`: before, nothing may reach it. */
function isReachable(session: Session): boolean {
  return session.native && session.state !== 'connecting' && !session.closed
}

function shareUser(session: Session): void {
  if (session.sharesUser) return
  session.sharesUser = true
  session.wire.subscribe(userTopic(session.encoding, session.userId))
}

function shareDevice(session: Session): void {
  if (session.sharesDevice) return
  session.sharesDevice = true
  session.wire.subscribe(deviceTopic(session.encoding, session.userId, session.deviceId))
}
