/** Room rules: who may do what in rooms whose name matches a pattern. */

import { type Static, Type } from 'typebox'
import { access, choice, duration, flag, integer } from './keys.ts'

export const ROOM_RULE_SCHEMA = Type.Object(
  {
    pattern: Type.String({
      pattern: '^[A-Za-z0-9_.:@*-]{1,128}$',
      expected: 'a room name in which * is any run of characters',
      description: 'Which rooms the rule is for: a name in which `*` is any run of characters. The first match wins.',
      reason: 'A rule without a pattern would be for no room.',
    }),
    join: access(['any', 'claim', 'none'], {
      description: 'Who may join: anyone, those whose token names the room in `rooms`, nobody, or a role.',
      default: 'any',
      reason: 'Rooms need no set-up until one must be closed.',
    }),
    publish: access(['member', 'any', 'none'], {
      description: 'Who may send to the room.',
      default: 'member',
      reason: 'Whoever speaks in a room can be seen in it.',
    }),
    state: access(['member', 'any', 'none'], {
      description: 'Who may read and write the room state.',
      default: 'member',
      reason: 'The state is as private as the messages.',
    }),
    presence: choice(['events', 'count', 'off'], {
      description: 'What members learn of each other: every coming and going, the number alone, or nothing.',
      default: 'events',
      reason: 'Most rooms show who is there; big ones gather their events anyway.',
    }),
    history: Type.Object({
      max_messages: integer({
        description: 'Messages the room keeps for late joiners; 0 keeps none.',
        default: 0,
        reason: 'Keeping what people say is a choice, not an accident.',
      }),
      max_age: duration({
        description: 'How long a message of the room is kept.',
        default: '1h',
        reason: 'Long enough for a reconnect after a meeting, short enough to forget.',
      }),
    }),
    exclusive: flag({
      description: "Makes the rule's rooms one group: joining one leaves the other.",
      default: false,
      reason: 'Being in many rooms is the normal case.',
    }),
    slow_consumer: choice(['disconnect', 'latest_only'], {
      description:
        'What happens to a member that does not read fast enough: closed (it resumes without a gap), or it skips to the newest messages.',
      default: 'disconnect',
      reason: 'No message is skipped silently unless a room says that only the newest counts.',
    }),
  },
  { additionalProperties: false },
)

/** One rule, every key filled. `history.max_age` is in milliseconds. */
export type RoomRule = Static<typeof ROOM_RULE_SCHEMA>

/** What holds in a room that no rule names. Its pattern matches every room. */
export const DEFAULT_ROOM_RULE: RoomRule = {
  pattern: '*',
  join: 'any',
  publish: 'member',
  state: 'member',
  presence: 'events',
  history: { max_messages: 0, max_age: 3_600_000 },
  exclusive: false,
  slow_consumer: 'disconnect',
}
