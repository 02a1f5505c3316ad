/** What a server needs before it can start: settings, and somebody's own handlers. */

import type { Loaded } from '../config.ts'
import type { Tidings } from '../index.ts'
import type { Arguments } from './arguments.ts'
import { settings } from './settings.ts'
import type { Terminal } from './terminal.ts'

export interface Prepared extends Loaded {
  readonly app?: Tidings
}

/** The file of handlers that is asked for, if any. */
export function appFile(args: Arguments, { env }: Terminal): string | undefined {
  return args.text('app') ?? (env.TIDINGS_APP || undefined)
}

/**
 * Loads the settings and then the file of `--app`; where either is wrong, prints why and returns `undefined`. Keys to
 * verify tokens with may be missing only where the handlers identify users in their own way.
 */
export async function prepare(args: Arguments, terminal: Terminal): Promise<Prepared | undefined> {
  const loaded = settings(args, terminal, { keysOptional: appFile(args, terminal) !== undefined })
  return loaded && (await withHandlers(loaded, args, terminal))
}

/** The second half of {@link prepare}: adds the handlers to settings for which keys were optional if there is a file. */
export async function withHandlers(loaded: Loaded, args: Arguments, terminal: Terminal): Promise<Prepared | undefined> {
  const file = appFile(args, terminal)
  if (file === undefined) return loaded
  const { AppFileError, loadApp } = await import('./load-app.ts')
  try {
    const app = await loadApp(file)
    const keys = app.application.authenticate.length > 0 || settings(args, terminal) !== undefined
    return keys ? { ...loaded, app } : undefined
  } catch (error) {
    if (!(error instanceof AppFileError)) throw error
    terminal.err(`tidings: ${error.message}`)
    return undefined
  }
}
