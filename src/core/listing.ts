/** What this process and the directory tell each other of its connections. */
import { TidingsError } from '../protocol/errors.ts'
import type { Directory, DirectoryListener, Passage } from './ports/directory.ts'
import type { Presence } from './presence.ts'
import type { Registry } from './registry.ts'
import type { Relay } from './relay.ts'
import type { Resumables } from './resumable.ts'
import type { RoomRules } from './room.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'

export interface ListingDeps {
  readonly directory: Directory
  readonly registry: Registry
  readonly rooms: Rooms
  readonly rules: RoomRules
  readonly presence: Presence
  readonly relay: Relay
  readonly resumables: Resumables
  readonly end: (session: Session, error: TidingsError) => void
}

export class Listing implements DirectoryListener {
  private readonly deps: ListingDeps

  constructor(deps: ListingDeps) {
    this.deps = deps
    deps.directory.listen(this)
  }

  /** Writes a session down that is open now, or has changed. One whose place was taken meanwhile is closed. */
  write(session: Session): void {
    const listed = this.deps.directory.list(session)
    if (listed === false) this.onEvicted(session.connectionId)
    if (!(listed instanceof Promise)) return
    listed.then(
      (isListed) => isListed || this.onEvicted(session.connectionId),
      // The directory brings it in when it can be reached again.
      () => {},
    )
  }

  /** Frees what a session that has closed holds; one that stays in its rooms for a while still stands there. */
  free({ connectionId }: Session, lingers: boolean): void {
    const { directory } = this.deps
    if (lingers) directory.vacate(connectionId)
    else directory.release(connectionId)
  }

  /** Somebody came or went whose instance could not say so. */
  onPassage({ room, userId, username, participants, came, nodeLost }: Passage): void {
    const { presence, relay, rooms, rules } = this.deps
    // Who is cut while it is let in is taken out with its connection, and was never there for the others.
    if (!came && !nodeLost && rooms.withdrawGone(room, userId)) return
    const change = { person: { id: userId, username }, participants, came, gathered: false, nodeLost }
    const here = rooms.get(room)
    if (here !== undefined) presence.passed(here, change)
    if (rules.ruleFor(room).presence !== 'off') relay.presence(room, change)
  }

  onLost: DirectoryListener['onLost'] = (connection) => void this.deps.resumables.keepLost(connection)

  onEvicted(connectionId: string): void {
    const { end, registry } = this.deps
    const session = registry.get(connectionId)
    if (session !== undefined) end(session, new TidingsError('connection_limit', undefined, { reconnect: false }))
  }
}
