/** Every connection of this process, by what one looks it up by. */
import { MultiMap } from './multimap.ts'
import type { Session } from './session.ts'

export class Registry {
  /** By connection id, oldest first. */
  readonly sessions = new Map<string, Session>()
  readonly byUser = new MultiMap<string, Session>()
  readonly byAddress = new MultiMap<string, Session>()
  private devices: MultiMap<string, Session> | undefined

  get size(): number {
    return this.sessions.size
  }

  add(session: Session): void {
    this.sessions.set(session.connectionId, session)
    this.byUser.add(session.userId, session)
    this.devices?.add(session.deviceId, session)
    this.byAddress.add(session.addressKey, session)
  }

  remove(session: Session): void {
    if (!this.sessions.delete(session.connectionId)) return
    this.byUser.delete(session.userId, session)
    this.devices?.delete(session.deviceId, session)
    this.byAddress.delete(session.addressKey, session)
  }

  /** Connections by device id, whosever it is. Kept from the first question on: most servers are never asked. */
  get byDevice(): MultiMap<string, Session> {
    if (this.devices === undefined) {
      this.devices = new MultiMap()
      for (const session of this.all()) this.devices.add(session.deviceId, session)
    }
    return this.devices
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
