/** Tells connections that something of what was stored cannot be delivered any more, or may not have been. */
import { formatCursor } from '../protocol/cursor.ts'
import type { CatchUp } from './catch-up.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { LogGap } from './ports/log.ts'
import type { Registry } from './registry.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'
import { parseLogTopic } from './stored-topics.ts'

export interface GapNoticeDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly rooms: Rooms
  readonly catchUp: CatchUp
}

/** Tells everybody whom a gap concerns, once, in which of its rooms. */
export function tellGap(deps: GapNoticeDeps, gap: LogGap): void {
  for (const [session, rooms] of concerned(deps, gap)) {
    // Whoever fetches is told with its next batch, and whoever is only opening by `welcome`: both ask the log.
    if (session.fetching !== undefined || session.state === 'connecting') continue
    const cursor = formatCursor(deps.catchUp.positionOf(session))
    const payload = { ...(rooms && { rooms }), from: formatCursor(gap.from), cursor }
    session.send({ type: 'gap', payload, cursor, timestamp: toTimestamp(deps.clock.now()) })
  }
}

/** Sessions with the rooms that the gap is in; `undefined`: it may be in anything that they receive. */
function concerned({ registry, rooms }: GapNoticeDeps, { topics }: LogGap): Map<Session, string[] | undefined> {
  const concerned = new Map<Session, string[] | undefined>()
  if (topics === undefined) {
    for (const session of registry.all()) concerned.set(session, undefined)
    return concerned
  }
  for (const { kind, name } of topics.map(parseLogTopic)) {
    if (kind === 'user') {
      for (const session of registry.byUser.get(name)) concerned.set(session, undefined)
      continue
    }
    const members = rooms.get(name)?.members
    for (const userId of members?.keys() ?? []) {
      for (const session of members?.get(userId) ?? []) {
        if (!concerned.has(session)) concerned.set(session, [])
        concerned.get(session)?.push(name)
      }
    }
  }
  return concerned
}
