/** Ending connections from outside: one, a user's, or everybody's. */
import { TidingsError } from '../protocol/errors.ts'
import type { Hub } from './hub.ts'
import type { Session } from './session.ts'

/**
 * Connections ended in one turn of the event loop. Each end also tells the rooms it was in; a slice this size takes a few
 * milliseconds, so that ending 50,000 does not keep the others waiting.
 */
const SLICE = 100

/**
 * Ends connections: each is told `disconnected` and closed.
 * @param reconnect whether they are told that coming back can help.
 * @returns how many were ended; those that closed in the meantime are not counted.
 */
export async function disconnect(hub: Hub, sessions: Iterable<Session>, reconnect: boolean): Promise<number> {
  // Taken down first: ending a connection takes it out of what is being looked through.
  const all = [...sessions]
  let ended = 0
  for (let at = 0; at < all.length; at += SLICE) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve))
    for (const session of all.slice(at, at + SLICE)) {
      if (session.closed) continue
      hub.end(session, new TidingsError('disconnected', undefined, { reconnect }))
      ended++
    }
  }
  return ended
}
