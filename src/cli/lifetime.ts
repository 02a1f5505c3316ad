/** How long a server runs: until it is told to stop. */

import { isatty } from 'node:tty'
import type { Log } from '../core/log.ts'

/** What a running server can be told. */
export interface Stoppable {
  /** Drains and resolves when the last connection is gone or the deadline has passed. */
  stop(reason?: string): Promise<void>
  /** Reads keys again, without a disconnect. */
  reloadKeys(): Promise<void>
}

/** Exit code of a process that was not let finish. */
const FORCED = 1

/**
 * Resolves with the exit code after SIGTERM or SIGINT, when the server has stopped. A second one exits at once;
 * SIGHUP reloads the keys. Under `serve --watch` (`supervised`) the end of the parent is a reason to stop, and a Ctrl-C,
 * which a terminal sends to both, is left to the parent.
 */
export function untilStopped(server: Stoppable, log: Log, { supervised = false } = {}): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const terminal = isatty(0)
  let stopping = false
  const stop = (reason: string): void => {
    if (stopping) process.exit(FORCED)
    stopping = true
    server.stop(reason).then(
      () => resolve(0),
      (error: unknown) => {
        log.error('stop_failed', { error })
        resolve(FORCED)
      },
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => {
    if (!supervised) stop('SIGINT')
  })
  process.on('SIGHUP', () => {
    // A terminal that is closed says the same as an operator who changed keys; only then is it no terminal any more.
    if (terminal && !isatty(0)) stop('SIGHUP')
    else server.reloadKeys().catch((error: unknown) => log.error('key_reload_failed', { error }))
  })
  if (supervised) process.on('disconnect', () => stop('parent_gone'))
  return promise
}
