/**
 * A client that comes back by another connection: what the former one had is kept for the new one, and where it is still
 * open it is closed, on whichever instance. So is one that was given the same before and of which the client has not heard.
 */
import { TidingsError } from '../protocol/errors.ts'
import type { Clock } from './clock.ts'
import type { Former } from './opening.ts'
import type { Peers } from './peers.ts'
import type { Directory } from './ports/directory.ts'
import type { Registry } from './registry.ts'
import { type Kept, type Resumables, readKept } from './resumable.ts'
import type { Rooms } from './rooms.ts'
import type { Session } from './session.ts'

export interface TakeOverDeps {
  readonly clock: Clock
  readonly registry: Registry
  readonly rooms: Rooms
  readonly resumables: Resumables
  readonly directory: Directory
  readonly peers: Peers
  readonly end: (session: Session, error: TidingsError) => void
}

/** Milliseconds within which a connection that takes another over must stand in its rooms, or its user has left them. */
const STAY_MS = 10_000
/** The kind of question that closes a connection because its client comes back, and asks what it had. */
const TAKE_OVER = 'take_over'
/** The kind of question that says that the client stands in its rooms again. */
const SETTLE = 'settle'

/** Who may take a connection over. */
interface Owner {
  readonly userId: string
  readonly deviceId: string
}

export class TakeOver {
  private readonly deps: TakeOverDeps

  constructor(deps: TakeOverDeps) {
    this.deps = deps
    deps.peers.answer(TAKE_OVER, ({ connection_id, user_id, device_id }) => {
      if (typeof connection_id !== 'string' || typeof user_id !== 'string' || typeof device_id !== 'string') return null
      return this.closeHere(connection_id, { userId: user_id, deviceId: device_id })
    })
    deps.peers.answer(SETTLE, ({ connection_id }) => {
      if (typeof connection_id === 'string') deps.rooms.settle(connection_id)
    })
  }

  /**
   * @param isSilent whether its instance has just not answered: then nobody waits for it a second time.
   * @returns what there is of the connection; `undefined`: nothing, or it is not this client's.
   */
  async of(connectionId: string, owner: Owner, isSilent = false): Promise<Former | undefined> {
    const { resumables } = this.deps
    const closed = await this.close(connectionId, owner, isSilent)
    const kept = closed?.kept ?? (await resumables.find(connectionId, owner.userId, owner.deviceId))
    if (kept === undefined) return undefined
    if (kept.heir !== undefined) await this.close(kept.heir, owner)
    return { connectionId, kept, instance: closed?.instance }
  }

  /** The new connection stands in the rooms of the former one, which need not stay in them any more. */
  settled({ connectionId, instance }: Former): void {
    if (instance !== undefined) this.deps.peers.tell(instance, SETTLE, { connection_id: connectionId })
  }

  private async close(
    connectionId: string,
    owner: Owner,
    isSilent = false,
  ): Promise<{ kept: Kept | undefined; instance: string | undefined } | undefined> {
    const { directory, peers, registry, resumables } = this.deps
    if (peers.here === undefined || registry.get(connectionId) !== undefined) {
      return { kept: this.closeHere(connectionId, owner), instance: undefined }
    }
    const listed = await directory.find(connectionId)
    if (listed === undefined || !isOf(listed, owner) || !peers.isElsewhere(listed.instance)) return undefined
    const { instance } = listed
    const question = { connection_id: connectionId, user_id: owner.userId, device_id: owner.deviceId }
    const asked = peers
      .ask(instance, TAKE_OVER, question)
      .then((kept) => ({ kept: readKept(kept), instance }))
      .catch(() => undefined)
    const closed = isSilent ? undefined : await asked
    if (closed !== undefined) return closed
    // Its instance is dead, or takes its time: then it finds out that the connection has no place any more.
    await directory.evict(connectionId, 'replaced')
    return { kept: await resumables.keepLost(listed), instance: undefined }
  }

  private closeHere(connectionId: string, owner: Owner): Kept | undefined {
    const { clock, end, registry, resumables, rooms } = this.deps
    const former = registry.get(connectionId)
    if (former === undefined || !isOf(former, owner)) return undefined
    const kept = resumables.keep(former)
    rooms.linger(former, clock.monotonic() + STAY_MS)
    end(former, new TidingsError('connection_limit', 'Taken over by a newer connection', { reconnect: false }))
    return kept
  }
}

function isOf(connection: Owner, { userId, deviceId }: Owner): boolean {
  return connection.userId === userId && connection.deviceId === deviceId
}
