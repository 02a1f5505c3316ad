/** Every connection of this process, by what one looks it up by. */
import { MultiMap } from './multimap.ts'
import type { Session } from './session.ts'

export class Registry {
  /** By connection id, oldest first. */
  readonly sessions = new Map<string, Session>()
  readonly byUser = new MultiMap<string, Session>()
  readonly byDevice = new MultiMap<string, Session>()
  readonly byAddress = new MultiMap<string, Session>()

  get size(): number {
    return this.sessions.size
  }

  add(session: Session): void {
    this.sessions.set(session.connectionId, session)
    this.byUser.add(session.userId, session)
    this.byDevice.add(session.deviceId, session)
    this.byAddress.add(session.addressKey, session)
  }

  remove(session: Session): void {
    if (!this.sessions.delete(session.connectionId)) return
    this.byUser.delete(session.userId, session)
    this.byDevice.delete(session.deviceId, session)
    this.byAddress.delete(session.addressKey, session)
  }

  get(connectionId: string): Session | undefined {
    return this.sessions.get(connectionId)
  }

  /** All connections, oldest first. */
  all(): IterableIterator<Session> {
    return this.sessions.values()
  }

  /** A user's connections from one device. */
  *ofDevice(userId: string, deviceId: string): Iterable<Session> {
    for (const session of this.byUser.get(userId)) if (session.deviceId === deviceId) yield session
  }
}
