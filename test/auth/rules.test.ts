import { describe, expect, test } from 'bun:test'
import { createRoomRules, type RoomRule } from '../../src/auth/rules.ts'
import { DEFAULT_ROOM_RULE } from '../../src/config.ts'
import type { Identity } from '../../src/core/identity.ts'
import type { RoomAction } from '../../src/core/room.ts'

const user = (more: Partial<Identity> = {}): Identity => ({ userId: 'alice', roles: [], ...more })

describe('ruleFor', () => {
  test('is the first rule that matches, with the defaults for what it leaves out', () => {
    const rules = createRoomRules(
      [
        { pattern: 'protocol:*', join: 'claim', history: { max_messages: 50 }, exclusive: true },
        { pattern: 'protocol:7', join: 'none' },
        { pattern: 'ticker', publish: 'role:feed', presence: 'off', slow_consumer: 'latest_only' },
      ],
      'admin',
    )
    expect(rules.ruleFor('protocol:7')).toEqual({
      pattern: 'protocol:*',
      join: 'claim',
      publish: 'member',
      state: 'member',
      presence: 'events',
      history: { maxMessages: 50, maxAgeMs: 3_600_000 },
      exclusive: 'protocol:*',
      slowConsumer: 'disconnect',
    })
    expect(rules.ruleFor('ticker')).toMatchObject({
      publish: 'role:feed',
      presence: 'off',
      slowConsumer: 'latest_only',
    })
    expect(rules.ruleFor('protocol:7')).toBe(rules.ruleFor('protocol:8'))
  })

  test('without a rule is what the configuration says of such rooms', () => {
    const { history, slow_consumer, ...same } = DEFAULT_ROOM_RULE
    expect(createRoomRules([], 'admin').ruleFor('lobby')).toEqual({
      ...same,
      exclusive: false,
      history: { maxMessages: history.max_messages, maxAgeMs: history.max_age },
      slowConsumer: slow_consumer,
    })
  })
})

/** The rooms, one per way of giving or refusing access, and the users, one per way of having or lacking it. */
const RULES: readonly RoomRule[] = [
  { pattern: 'open', join: 'any', publish: 'any', state: 'any' },
  { pattern: 'claimed:*', join: 'claim', publish: 'member', state: 'member' },
  { pattern: 'staff', join: 'role:staff', publish: 'role:staff', state: 'role:staff' },
  { pattern: 'news', join: 'any', publish: 'role:editor', state: 'none' },
  { pattern: 'shut', join: 'none', publish: 'none', state: 'none' },
  { pattern: '__proto__', join: 'role:staff', publish: 'none', state: 'member' },
  { pattern: 'constructor', join: 'claim', publish: 'role:Object', state: 'role:staff' },
  { pattern: 'admins', join: 'role:admin', publish: 'role:admin', state: 'role:admin' },
]
const ROOMS = [
  'open',
  'claimed:1',
  'claimed:2',
  'staff',
  'news',
  'shut',
  '__proto__',
  'constructor',
  'toString',
  'admins',
  'unruled',
]
const USERS: Record<string, Identity> = {
  nobody: user(),
  staff: user({ roles: ['staff'] }),
  editor: user({ roles: ['beta', 'editor'] }),
  admin: user({ roles: ['admin'] }),
  'admin with a narrow claim': user({ roles: ['admin'], rooms: ['open'] }),
  'almost admin': user({ roles: ['administrator', 'Admin', 'admin '] }),
  'staff in one room': user({ roomRoles: { staff: 'staff', news: 'staff' } }),
  'editor of news': user({ roomRoles: { news: 'editor' } }),
  'admin of one room': user({ roomRoles: { shut: 'admin', admins: 'admin' } }),
  'staff by odd names': user({ roomRoles: JSON.parse('{"__proto__":"staff","constructor":"staff"}') }),
  'claims one': user({ rooms: ['claimed:1'] }),
  'claims a pattern': user({ rooms: ['claimed:*', 'news'] }),
  'claims everything': user({ rooms: ['*'] }),
  'claims nothing': user({ rooms: [] }),
  'claims odd names': user({ rooms: ['__proto__', 'constructor'] }),
  'staff who claims another room': user({ roles: ['staff'], rooms: ['open'] }),
  'staff who claims it': user({ roles: ['staff'], rooms: ['sta*'] }),
}
const ACTIONS: readonly RoomAction[] = ['join', 'publish', 'state']

/** What the documentation says, written out as a table of questions with nothing shared with the implementation. */
function oracle(who: Identity, room: string, action: RoomAction, member: boolean, adminRole: string): boolean {
  if (adminRole.length > 0 && who.roles.some((role) => role === adminRole)) return true
  const claims = who.rooms?.map((pattern) => new Bun.Glob(pattern).match(room))
  if (claims !== undefined && !claims.includes(true)) return false

  const rule = RULES.filter((candidate) => new Bun.Glob(candidate.pattern).match(room))[0]
  const words: Record<RoomAction, string> = { join: 'any', publish: 'member', state: 'member' }
  const word = rule?.[action] ?? words[action]
  const own = new Map(Object.entries(who.roomRoles ?? {})).get(room)
  const table: Record<string, boolean> = { any: true, none: false, member, claim: claims !== undefined }
  return word.startsWith('role:') ? [...who.roles, own].includes(word.slice(5)) : table[word] === true
}

describe('allows, for every user, room and action, member or not', () => {
  for (const adminRole of ['admin', '']) {
    test(adminRole === '' ? 'where no role is an admin' : `where the admin role is ${adminRole}`, () => {
      const rules = createRoomRules(RULES, adminRole)
      const differences: string[] = []
      const answers = { true: 0, false: 0 }
      for (const [name, who] of Object.entries(USERS)) {
        for (const room of ROOMS) {
          for (const action of ACTIONS) {
            for (const member of [false, true]) {
              const answer = rules.allows(who, room, action, member)
              answers[`${answer}`]++
              if (answer !== oracle(who, room, action, member, adminRole)) {
                differences.push(`${name} ${action} ${room} member=${member}: ${answer}`)
              }
            }
          }
        }
      }
      expect(differences).toEqual([])
      // Both answers occur often: neither a rule book that allows all nor one that refuses all passes.
      expect(answers.true).toBeGreaterThan(200)
      expect(answers.false).toBeGreaterThan(200)
    })
  }

  test('some of it spelled out', () => {
    const rules = createRoomRules(RULES, 'admin')
    expect(rules.allows(user({ rooms: ['claimed:1'] }), 'claimed:1', 'join', false)).toBe(true)
    expect(rules.allows(user({ rooms: ['claimed:1'] }), 'claimed:2', 'join', false)).toBe(false)
    expect(rules.allows(user(), 'claimed:1', 'join', false)).toBe(false)
    expect(rules.allows(user({ rooms: ['claimed:1'] }), 'open', 'publish', true)).toBe(false)
    expect(rules.allows(user({ roles: ['admin'] }), 'shut', 'publish', false)).toBe(true)
    expect(rules.allows(user(), 'unruled', 'publish', false)).toBe(false)
  })
})

test('an admin is who has the admin role everywhere, and nobody where there is none', () => {
  const { admin, nobody, 'admin of one room': one, 'almost admin': almost } = USERS
  const people = [admin, nobody, one, almost, user({ roles: [''] })].map((who) => who ?? user())
  expect(people.map(createRoomRules([], 'admin').isAdmin)).toEqual([true, false, false, false, false])
  expect(people.map(createRoomRules([], '').isAdmin)).toEqual([false, false, false, false, false])
})
