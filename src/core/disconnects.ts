/** Ending connections from outside: one, a user's, or everybody's, wherever they are. */
import { TidingsError } from '../protocol/errors.ts'
import { type Peers, UNANSWERED_RETRY_MS } from './peers.ts'
import type { Directory, Located } from './ports/directory.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

/**
 * Connections ended in one turn of the event loop. Each end also tells the rooms it was in; a slice this size takes a few
 * milliseconds, so that ending 50,000 does not keep the others waiting.
 */
const SLICE = 100
/** Connections that another instance is asked to end at a time: it has done so long before it is taken for silent. */
const ASKED = 500
/** The kind of question that ends connections. */
const DISCONNECT = 'disconnect'
/** Milliseconds within which an instance has ended what it was asked to. */
const PATIENCE_MS = 5000

export interface DisconnectsDeps {
  readonly registry: Registry
  readonly directory: Directory
  readonly peers: Peers
  readonly end: (session: Session, error: TidingsError) => void
}

export class Disconnects {
  private readonly deps: DisconnectsDeps

  constructor(deps: DisconnectsDeps) {
    this.deps = deps
    deps.peers.answer(DISCONNECT, ({ connection_ids, reconnect }) =>
      this.endHere(Array.isArray(connection_ids) ? connection_ids : [], reconnect === true),
    )
  }

  /**
   * Ends connections: each is told `disconnected` and closed. Resolves when that was done.
   * @param reconnect whether they are told that coming back can help.
   * @returns how many were ended; those that closed in the meantime are not counted.
   * @throws TidingsError (rejected) `unavailable`: an instance has not answered. Its connections have no place any more, and
   * it closes them when it finds out.
   */
  async end(connections: AsyncIterable<readonly Located[]> | readonly Located[], reconnect: boolean): Promise<number> {
    // Taken down first: ending a connection takes it out of what is being looked through.
    const byInstance = new Map<string, string[]>()
    const pages = Symbol.asyncIterator in connections ? connections : [connections]
    for await (const page of pages) {
      for (const { connectionId, instance } of page) {
        const ids = byInstance.get(instance)
        if (ids === undefined) byInstance.set(instance, [connectionId])
        else ids.push(connectionId)
      }
    }
    const all = [...byInstance].map(([instance, ids]) => this.endAt(instance, ids, reconnect))
    // The others are done before one that does not answer is told of.
    await Promise.allSettled(all)
    return (await Promise.all(all)).reduce((sum, count) => sum + count, 0)
  }

  private async endAt(instance: string, ids: readonly string[], reconnect: boolean): Promise<number> {
    const { peers } = this.deps
    if (!peers.isElsewhere(instance)) return this.endHere(ids, reconnect)
    let ended = 0
    for (let at = 0; at < ids.length; at += ASKED) {
      const some = ids.slice(at, at + ASKED)
      try {
        ended += Number(await peers.ask(instance, DISCONNECT, { connection_ids: some, reconnect }, PATIENCE_MS))
      } catch (cause) {
        return ended + (await this.evict(instance, ids.slice(at), reconnect, cause))
      }
    }
    return ended
  }

  /** Their instance does not answer. It is gone, and they with it, or it finds out that they have no place any more. */
  private async evict(instance: string, ids: readonly string[], reconnect: boolean, cause: unknown): Promise<number> {
    const { directory } = this.deps
    for (const id of ids) await directory.evict(id, reconnect ? 'ended_for_now' : 'ended')
    if (!(await directory.instances()).includes(instance)) return ids.length
    const message = 'An instance has not answered whether its connections are closed. It will close them when it can'
    throw new TidingsError('unavailable', message, { retryAfterMs: UNANSWERED_RETRY_MS, cause })
  }

  private async endHere(ids: readonly unknown[], reconnect: boolean): Promise<number> {
    let ended = 0
    for (let at = 0; at < ids.length; at += SLICE) {
      if (at > 0) await new Promise((resolve) => setImmediate(resolve))
      for (const id of ids.slice(at, at + SLICE)) {
        const session = this.deps.registry.get(String(id))
        if (session === undefined || session.closed) continue
        this.deps.end(session, new TidingsError('disconnected', undefined, { reconnect }))
        ended++
      }
    }
    return ended
  }
}
