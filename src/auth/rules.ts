/** Room rules: which rule holds in a room, and whether somebody may join, publish or touch the state there. */

import type { RoomRule as FilledRule } from '../config.ts'
import { hasRole, type Identity } from '../core/identity.ts'
import type { RoomRule as CoreRule, RoomRules as CoreRules, RoomAction } from '../core/room.ts'
import { compilePattern } from '../protocol/names.ts'

/** A rule as it is written: its pattern, and what differs from the defaults. */
export type RoomRule = Pick<FilledRule, 'pattern'> &
  Partial<Omit<FilledRule, 'pattern' | 'history'>> & { readonly history?: Partial<FilledRule['history']> }

/** Who may do something: `member` are those who have joined, `claim` those whose token names the room in `rooms`. */
export type Access = 'any' | 'claim' | 'member' | 'none' | `role:${string}`

/** A rule with every default filled in. Rooms of an `exclusive` rule are one group, named by its pattern. */
export interface ResolvedRule extends CoreRule {
  readonly pattern: string
  readonly join: Access
  readonly publish: Access
  readonly state: Access
}

export interface RoomRules extends CoreRules {
  /** The first rule whose pattern matches, one object per rule; the defaults where none does. */
  ruleFor(room: string): ResolvedRule
}

/**
 * @param rules in order; the first match wins.
 * @param adminRole the role of a token that may do everything, whatever rules and claims say; empty: there is none.
 */
export function createRoomRules(rules: readonly RoomRule[], adminRole: string): RoomRules {
  const resolved = rules.map((rule) => ({ rule: resolve(rule), matches: compilePattern(rule.pattern) }))
  const unruled = resolve({ pattern: '*' })

  const ruleFor = (room: string): ResolvedRule => resolved.find(({ matches }) => matches(room))?.rule ?? unruled

  const isAdmin = (identity: Identity): boolean => adminRole !== '' && identity.roles.includes(adminRole)

  const allows = (identity: Identity, room: string, action: RoomAction, isMember: boolean): boolean => {
    if (isAdmin(identity)) return true
    if (identity.rooms !== undefined && !isNamed(identity.rooms, room)) return false
    return grants(ruleFor(room)[action], identity, room, isMember)
  }

  return { ruleFor, allows, isAdmin }
}

function grants(access: Access, identity: Identity, room: string, isMember: boolean): boolean {
  switch (access) {
    case 'any':
      return true
    case 'member':
      return isMember
    case 'claim':
      // That a claim names the room has been seen before: here it matters that there is one.
      return identity.rooms !== undefined
    case 'none':
      return false
    default:
      return hasRole(identity, room, access.slice('role:'.length))
  }
}

function isNamed(claimed: readonly string[], room: string): boolean {
  return claimed.some((pattern) => compilePattern(pattern)(room))
}

function resolve(rule: RoomRule): ResolvedRule {
  return {
    pattern: rule.pattern,
    join: rule.join ?? 'any',
    publish: rule.publish ?? 'member',
    state: rule.state ?? 'member',
    presence: rule.presence ?? 'events',
    history: {
      maxMessages: rule.history?.max_messages ?? 0,
      maxAgeMs: rule.history?.max_age ?? 3_600_000,
    },
    exclusive: rule.exclusive ? rule.pattern : false,
    slowConsumer: rule.slow_consumer ?? 'disconnect',
  }
}
