/** How long a server runs: until it is told to stop. */

import { isatty } from 'node:tty'
import type { Log } from '../core/log.ts'
import type { Parent } from './parent.ts'

/** What a running server can be told. */
export interface Running {
  /** Drains and resolves when the last connection is gone or the deadline has passed. */
  stop(reason: string): Promise<void>
  /** Reads keys again, without a disconnect. A rejection is logged, and the keys stay as they were. */
  reload(): Promise<void>
}

export interface Circumstances {
  readonly log: Log
  /** Absent: nobody looks after this process. */
  readonly parent?: Parent | undefined
}

/** Exit code of a process that was not let finish. */
const FORCED = 1

/**
 * Starts a server and resolves with the exit code when it has stopped, after SIGTERM or SIGINT; rejects where it cannot
 * start. A second signal exits at once; SIGHUP reloads the keys. A parent may wish for the same; what it wishes for beside
 * a signal is no second one.
 */
export async function untilStopped(start: () => Promise<Running>, { log, parent }: Circumstances): Promise<number> {
  const { promise: told, resolve: tell } = Promise.withResolvers<string>()
  const terminal = isatty(0)
  let signalled = false
  const stop = (reason: string): void => {
    if (signalled) process.exit(FORCED)
    signalled = true
    tell(reason)
  }
  // Before the start: the moment after a server begins to listen, a signal must not kill it as if it knew none.
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => {
    if (parent === undefined) stop('SIGINT')
  })

  // An application's forgotten promise or timer: what it has broken is its own, and a thousand clients are connected.
  const uncaught = (error: unknown): void => log.error('uncaught_error', { error })
  process.on('unhandledRejection', uncaught)
  process.on('uncaughtException', uncaught)

  let server: Running | undefined
  const reload = (): void => {
    // Keys that are being read for the first time are new enough.
    server?.reload().then(
      () => log.info('keys_reloaded'),
      (error: unknown) => log.error('key_reload_failed', { error }),
    )
  }
  process.on('SIGHUP', () => {
    // A terminal that is closed says the same as an operator who changed keys; only then is it no terminal any more.
    if (terminal && !isatty(0)) stop('SIGHUP')
    else reload()
  })
  parent?.listen({ stop: tell, reload })

  server = await start()
  try {
    await server.stop(await told)
    return 0
  } catch (error) {
    log.error('stop_failed', { error })
    return FORCED
  }
}
