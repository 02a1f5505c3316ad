/** A room of this process: its members here, and the topic they share. It exists while it has a member. */
import type { Identity } from './identity.ts'
import { MultiMap } from './multimap.ts'
import type { Session } from './session.ts'
import { roomLog } from './stored-topics.ts'
import { roomTopic, Topic } from './topic.ts'

/** What holds in a room. */
export interface RoomRule {
  readonly presence: 'events' | 'count' | 'off'
  readonly history: { readonly maxMessages: number; readonly maxAgeMs: number }
  /** The name of the group of which a session may be in one room only. */
  readonly exclusive: false | string
  readonly slowConsumer: 'disconnect' | 'latest_only'
}

export type RoomAction = 'join' | 'publish' | 'state'

/** Who may call a handler: members of the room that the payload names (or the only one joined), or those with a role in it. */
export type RoomGuard = 'member' | 'admin' | { readonly role: string }

/** Which rule a room has, and who may do what by it. Filled in by `auth/`. */
export interface RoomRules {
  ruleFor(room: string): RoomRule
  allows(identity: Identity, room: string, action: RoomAction, isMember: boolean): boolean
  /** Whether the identity may do everything. */
  isAdmin(identity: Identity): boolean
}

export class Room {
  readonly name: string
  readonly rule: RoomRule
  readonly topic: Topic
  /** Members of this process by user: others are told of users, not of devices. */
  readonly members = new MultiMap<string, Session>()
  /** Users in the room over all instances, as far as those here were told: it follows from what they have heard. */
  participants = 0
  /** Somebody here has read who is in it since the last summary was told: he knows of users of whom the others do not. */
  isListed = false

  /** @param busy the topic of the room before it was left by all, where messages are still on their way to it. */
  constructor(name: string, rule: RoomRule, busy?: Topic) {
    this.name = name
    this.rule = rule
    const log = rule.history.maxMessages > 0 ? roomLog(name) : undefined
    this.topic = busy ?? new Topic(roomTopic(name), name, log, rule.slowConsumer === 'latest_only')
  }

  has(session: Session): boolean {
    return session.subscriptionTo(this.topic) !== undefined
  }

  /** A session of a user that can be reached here; whichever of his others came or went, it hears nothing of itself. */
  reachable(userId: string): Session | undefined {
    for (const session of this.members.get(userId)) if (this.has(session)) return session
    return undefined
  }
}
