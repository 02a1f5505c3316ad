/** Joining and leaving: the rule, the limit, the exclusive group, the topic. Who is told follows from the attendances. */
import { TidingsError } from '../protocol/errors.ts'
import { isRoomName } from '../protocol/names.ts'
import type { Interests } from './interests.ts'
import { Lingering } from './lingering.ts'
import { type MaybePromise, undoing, whenReady } from './maybe-promise.ts'
import type { Attendances, Going, RoomStates } from './ports/backend.ts'
import { Room, type RoomAction, type RoomRules } from './room.ts'
import type { Session } from './session.ts'
import { roomLog } from './stored-topics.ts'
import type { Topic } from './topic.ts'

/** A session that stands in a room and is not yet subscribed: what the client must hear first is sent in between. */
export interface Entry {
  readonly room: Room
  /** The session was in the room before: nothing has changed. */
  readonly already: boolean
}

export interface RoomsDeps {
  readonly rules: RoomRules
  readonly attendances: Attendances
  readonly states: RoomStates
  readonly interests: Interests
  /** Rooms that one session may be in. */
  readonly maxRooms: number
  /** The topic of a room that was left by all while messages were on their way to it: who comes meanwhile receives them. */
  readonly busyTopic: (room: string) => Topic | undefined
  /** Called with a session that stood in rooms after its connection was gone, when it is out of the last. */
  readonly departed: (session: Session) => void
}

export class Rooms {
  private readonly rooms = new Map<string, Room>()
  private readonly lingering = new Lingering()
  private readonly deps: RoomsDeps

  constructor(deps: RoomsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.rooms.size
  }

  /** The room, where this process has a member of it. */
  get(name: string): Room | undefined {
    return this.rooms.get(name)
  }

  /** Those with a member in this process. */
  get byName(): ReadonlyMap<string, Room> {
    return this.rooms
  }

  /** @throws TidingsError `forbidden` where the session may not. */
  authorise(session: Session, name: string, action: RoomAction): void {
    this.check(session, name, action, this.rooms.get(name)?.has(session) ?? false)
  }

  /**
   * As {@link authorise}, for publishing. Who sends without a connection is a member by any of the user's, wherever it is.
   * @throws TidingsError `forbidden`; `unavailable`: it cannot be asked for now.
   */
  authorisePublish(session: Session, name: string): MaybePromise<void> {
    const { attendances, rules } = this.deps
    if (!session.visiting) return this.authorise(session, name, 'publish')
    if (rules.allows(session.identity, name, 'publish', false)) return
    const isMember = attendances.has(name, session.userId)
    return whenReady(isMember, (known) => this.check(session, name, 'publish', known))
  }

  /**
   * Puts a session into a room without subscribing it; {@link subscribe} MUST follow in the tick in which this is ready.
   * @param entered rooms that the session has entered and is not subscribed to yet: they count too.
   * @throws TidingsError `invalid_message`, `forbidden`, `room_limit`.
   */
  enter(session: Session, name: unknown, entered = 0): MaybePromise<Entry> {
    if (!isRoomName(name)) {
      const details = { field: 'room' }
      throw new TidingsError('invalid_message', 'A room name is 1 to 128 of A-Z a-z 0-9 _ . : @ -', { details })
    }
    this.authorise(session, name, 'join')
    const present = this.rooms.get(name)
    if (present?.has(session)) return { room: present, already: true }
    const rule = this.deps.rules.ruleFor(name)
    const left = rule.exclusive === false ? undefined : this.leaveGroup(session, rule.exclusive)
    const joined = session.rooms.length + entered
    if (joined >= this.deps.maxRooms) {
      const details = { max_rooms: this.deps.maxRooms }
      throw new TidingsError('room_limit', `Max rooms exceeded: ${joined} of ${this.deps.maxRooms}`, { details })
    }
    return whenReady(left, () => {
      const room = this.rooms.get(name) ?? this.open(name)
      room.members.add(session.userId, session)
      const told = this.deps.interests.want(roomLog(name))
      return undoing(
        whenReady(told, () => this.attend(session, room)),
        () => this.remove(session, room),
      )
    })
  }

  /**
   * What a list of rooms amounts to when they are joined one after the other: of an exclusive group only the last that
   * the session may join.
   */
  remaining(session: Session, names: readonly string[]): string[] {
    const { rules } = this.deps
    const kept = new Map<string, string>()
    for (const name of names) {
      const group =
        isRoomName(name) && rules.allows(session.identity, name, 'join', false) && rules.ruleFor(name).exclusive
      kept.set(group === false ? `room ${name}` : `group ${group}`, name)
    }
    return [...kept.values()]
  }

  /**
   * Subscribes a session that has entered; the others are told. A session that closed meanwhile is taken out again.
   * @param since the position at which it joined: older messages of the room are not for it.
   */
  subscribe(session: Session, { room, already }: Entry, since: number): void {
    if (already) return
    if (session.closed) {
      this.takeOut(session, room)
      return
    }
    room.topic.subscribe(session, since)
    this.deps.attendances.announce(room.name, session)
  }

  /** Users in a room that a session has entered, itself among them: what it hears afterwards counts on from there. */
  participants(session: Session, { room }: Entry): number {
    const isCounted = this.deps.attendances.isTold(room.name, session.userId)
    return room.participants + (isCounted ? 0 : 1)
  }

  /** Takes a session out again that entered and is not going to be subscribed. */
  abandon(session: Session, { room, already }: Entry): void {
    if (!already) void this.takeOut(session, room)
  }

  /** Takes a session out of a room; false where it was not in. */
  leave(session: Session, name: string): MaybePromise<boolean> {
    const room = this.rooms.get(name)
    if (!room?.has(session)) return false
    room.topic.unsubscribe(session)
    return whenReady(this.takeOut(session, room), () => true)
  }

  /** Takes a session whose connection has ended out of every room. */
  leaveAll(session: Session, going: Going): void {
    for (const name of session.rooms) {
      const room = this.rooms.get(name)
      if (room === undefined) continue
      room.topic.unsubscribe(session)
      void this.takeOut(session, room, going)
    }
  }

  /**
   * Lets a session whose connection is gone stand in its rooms for a while, without receiving anything: others hear that
   * its user has left when that is over and the device has not come back.
   * @param until monotonic milliseconds.
   */
  linger(session: Session, until: number): void {
    const rooms = session.rooms.flatMap((name) => this.rooms.get(name) ?? [])
    for (const room of rooms) room.topic.unsubscribe(session)
    if (rooms.length > 0) this.lingering.add(session, rooms, until)
  }

  /** Whether a session stands in rooms though its connection is gone. */
  lingers(session: Session): boolean {
    return this.lingering.has(session)
  }

  /** Takes out who has lingered long enough. Called about once a second. */
  sweep(now: number): void {
    for (const { session, rooms } of this.lingering.takeOver(now)) this.endStay(session, rooms)
  }

  /** Takes a former connection out of its rooms: its client stands in them by another instance. */
  settle(connectionId: string): void {
    const stay = this.lingering.take(connectionId)
    if (stay !== undefined) this.endStay(stay.session, stay.rooms)
  }

  /** The room that a frame means: the one it names, or the only one joined. */
  meant(session: Session, named: unknown): string {
    if (named !== undefined && named !== null) {
      if (isRoomName(named)) return named
      throw new TidingsError('invalid_message', 'A room name is 1 to 128 of A-Z a-z 0-9 _ . : @ -', {
        details: { field: 'room' },
      })
    }
    const [only, ...others] = session.rooms
    if (only !== undefined && others.length === 0) return only
    const message = only === undefined ? 'No room is joined' : 'Several rooms are joined: name one'
    throw new TidingsError('invalid_message', message, { details: { field: 'room' } })
  }

  private check(session: Session, name: string, action: RoomAction, isMember: boolean): void {
    if (this.deps.rules.allows(session.identity, name, action, isMember)) return
    throw new TidingsError('forbidden', `Not allowed to ${WORDS[action]} this room`)
  }

  private attend(session: Session, room: Room): MaybePromise<Entry> {
    const { attendances, interests } = this.deps
    const entered = whenReady(attendances.enter(room.name, session), () => {
      for (const { session: former, isOver } of this.lingering.takeFormer(room, session)) {
        void this.takeOut(former, room)
        if (isOver) this.deps.departed(former)
      }
      return { room, already: false }
    })
    return undoing(entered, () => {
      interests.release(roomLog(room.name))
      // It may have been written down all the same.
      void attendances.leave(room.name, session)
    })
  }

  private endStay(session: Session, rooms: Iterable<Room>): void {
    for (const room of rooms) void this.takeOut(session, room)
    this.deps.departed(session)
  }

  private remove(session: Session, room: Room): void {
    room.members.delete(session.userId, session)
    if (room.members.size > 0) return
    this.rooms.delete(room.name)
    this.deps.states.occupied(room.name, false)
  }

  private open(name: string): Room {
    const room = new Room(name, this.deps.rules.ruleFor(name), this.deps.busyTopic(name))
    this.rooms.set(name, room)
    this.deps.states.occupied(name, true)
    return room
  }

  private takeOut(session: Session, room: Room, going?: Going): MaybePromise<void> {
    this.remove(session, room)
    this.deps.interests.release(roomLog(room.name))
    return this.deps.attendances.leave(room.name, session, going)
  }

  private leaveGroup(session: Session, group: string): MaybePromise<unknown> {
    const others = session.rooms.filter((name) => this.rooms.get(name)?.rule.exclusive === group)
    const leaving = others.map((name) => this.leave(session, name))
    return leaving.some((left) => left instanceof Promise) ? Promise.all(leaving) : undefined
  }
}

const WORDS: Record<RoomAction, string> = { join: 'join', publish: 'publish to', state: 'use the state of' }
