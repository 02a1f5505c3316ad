/** What this process and the directory tell each other of its connections. */
import { TidingsError } from '../protocol/errors.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Directory, DirectoryListener, Eviction } from './ports/directory.ts'
import type { Registry } from './registry.ts'
import type { Resumables } from './resumable.ts'
import type { Session } from './session.ts'

export interface ListingDeps {
  readonly directory: Directory
  readonly registry: Registry
  readonly resumables: Resumables
  readonly end: (session: Session, error: TidingsError) => void
  /** This process has missed what all instances were told for a while. */
  readonly missed: () => void
}

export class Listing implements DirectoryListener {
  private readonly deps: ListingDeps

  constructor(deps: ListingDeps) {
    this.deps = deps
    deps.directory.listen(this)
  }

  /**
   * Writes a session down that is about to open, or has changed. One whose place was taken meanwhile is closed.
   * @returns ready when it is done. Where the directory cannot be reached it brings the session in when it can be again.
   */
  write(session: Session): MaybePromise<void> {
    const close = (why: Eviction | undefined): void => {
      if (why !== undefined) this.onEvicted(session.connectionId, why)
    }
    const listed = this.deps.directory.list(session)
    return listed instanceof Promise ? listed.then(close, () => {}) : close(listed)
  }

  /** Frees what a session that has closed holds; one that stays in its rooms for a while still stands there. */
  free({ connectionId }: Session, { lingers, gathered }: { lingers: boolean; gathered: boolean }): void {
    const { directory } = this.deps
    if (lingers) directory.vacate(connectionId)
    else directory.release(connectionId, gathered)
  }

  onLost: DirectoryListener['onLost'] = (connection) => void this.deps.resumables.keepLost(connection)

  onReturned(): void {
    this.deps.missed()
  }

  onEvicted(connectionId: string, why: Eviction): void {
    const { end, registry } = this.deps
    const session = registry.get(connectionId)
    const name = why === 'replaced' ? 'connection_limit' : 'disconnected'
    if (session !== undefined) end(session, new TidingsError(name, undefined, { reconnect: why === 'ended_for_now' }))
  }
}
