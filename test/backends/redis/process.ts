/** A process as far as the directory goes: connections that take places, are written down, join rooms and end. */

import type { RedisStoreOptions } from '../../../src/backends/redis/store.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { newConnectionId } from '../../../src/core/ids.ts'
import type { Going, Passage } from '../../../src/core/ports/backend.ts'
import type { Eviction, Seating, SeatLimits } from '../../../src/core/ports/directory.ts'
import { Registry } from '../../../src/core/registry.ts'
import type { Room as CoreRoom } from '../../../src/core/room.ts'
import { Room } from '../../../src/core/room.ts'
import type { Session } from '../../../src/core/session.ts'
import { roomLog } from '../../../src/core/stored-topics.ts'
import { makeSession } from '../../support/sessions.ts'
import { until } from '../../support/until.ts'
import { Instance } from './support.ts'

export const UNLIMITED: SeatLimits = { perUser: 0, perUserPolicy: 'reject', perAddress: 0, total: 0 }

const RULE = {
  presence: 'events',
  history: { maxMessages: 0, maxAgeMs: 0 },
  exclusive: false,
  slowConsumer: 'disconnect',
} as const

export interface Place {
  readonly userId?: string
  readonly deviceId?: string
  readonly addressKey?: string
  readonly username?: string
  readonly limits?: SeatLimits
}

export class Process implements AsyncDisposable {
  readonly instance: Instance
  readonly registry = new Registry()
  readonly rooms = new Map<string, CoreRoom>()
  /** Of the rooms that it watches, in the order in which it heard of them. */
  readonly passages: Passage[] = []
  /** Rooms of which it was told only how many are in them. */
  readonly recounts: string[] = []
  readonly lost: string[] = []
  readonly evicted: { connectionId: string; why: Eviction }[] = []

  private constructor(instance: Instance) {
    this.instance = instance
    this.directory.attach({ registry: this.registry, room: (name) => this.rooms.get(name), rooms: () => this.rooms })
    this.attendances.listen({
      onPassage: (passage) => {
        this.passages.push(passage)
        this.count(passage.room, passage.participants)
      },
      onCount: (room, participants) => this.count(room, participants),
      onRecount: (room, participants) => {
        this.recounts.push(room)
        this.count(room, participants)
      },
    })
    this.directory.listen({
      onLost: ({ connectionId }) => this.lost.push(connectionId),
      onReturned: () => {},
      onEvicted: (connectionId, why) => {
        this.evicted.push({ connectionId, why })
        const session = this.registry.get(connectionId)
        if (session !== undefined) this.end(session)
      },
    })
  }

  static async open(url: string, prefix: string, more: Partial<RedisStoreOptions> = {}): Promise<Process> {
    return new Process(await Instance.open({ ...more, url, prefix }))
  }

  get directory() {
    return this.instance.store.directory
  }

  get attendances() {
    return this.directory.attendances
  }

  get name(): string {
    return this.instance.store.bus.instance
  }

  async reserve(place: Place = {}): Promise<{ seating: Seating; connectionId: string }> {
    const { userId = 'alice', deviceId = 'd', addressKey = '10.0.0.1', limits = UNLIMITED } = place
    const connectionId = newConnectionId()
    return {
      seating: await this.directory.reserve({ connectionId, userId, deviceId, addressKey }, limits),
      connectionId,
    }
  }

  /** Comes through the door; `undefined` where it is full. */
  async connect(place: Place = {}): Promise<Session | undefined> {
    const { seating, connectionId } = await this.reserve(place)
    if (!seating.seated) return undefined
    const { userId = 'alice', deviceId = 'd', addressKey = '10.0.0.1', username } = place
    const init = { connectionId, deviceId, addressKey, ip: addressKey }
    const session = makeSession(systemClock, { userId, ...(username !== undefined && { username }) }, undefined, init)
    this.registry.add(session)
    if ((await this.directory.list(session)) !== undefined) {
      this.end(session)
      return undefined
    }
    return session
  }

  /** Hears of a room's comings and goings from now on. */
  async watch(room: string): Promise<void> {
    await this.instance.store.messages.interest(roomLog(room), true)
  }

  /** @returns the users that are in the room once the others were told of this one. */
  async join(session: Session, name: string): Promise<number> {
    const room = await this.enter(session, name)
    this.attendances.announce(name, session)
    await until(() => this.attendances.isTold(name, session.userId))
    return room.participants
  }

  /** Enters, and is not announced. */
  async enter(session: Session, name: string): Promise<CoreRoom> {
    const room = await this.entered(session, name)
    room.topic.subscribe(session, 0)
    return room
  }

  /** Enters, and is not subscribed. */
  async entered(session: Session, name: string): Promise<CoreRoom> {
    const room = this.rooms.get(name) ?? new Room(name, RULE)
    this.rooms.set(name, room)
    room.members.add(session.userId, session)
    await this.watch(name)
    await this.attendances.enter(name, session)
    return room
  }

  async leave(session: Session, name: string, going?: Going): Promise<void> {
    const room = this.rooms.get(name)
    room?.topic.unsubscribe(session)
    room?.members.delete(session.userId, session)
    if (room?.members.size === 0) this.rooms.delete(name)
    await this.attendances.leave(name, session, going)
  }

  end(session: Session): void {
    for (const name of session.rooms) void this.leave(session, name, { gathered: false })
    session.state = 'closed'
    this.registry.remove(session)
    this.directory.release(session.connectionId)
  }

  private count(room: string, participants: number): void {
    const here = this.rooms.get(room)
    if (here !== undefined) here.participants = participants
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.instance[Symbol.asyncDispose]()
  }
}
