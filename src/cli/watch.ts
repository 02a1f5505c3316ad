/** `serve --watch`: a server that starts again whenever its source changes. */

import { readdirSync, watch } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ownCommand } from './executable.ts'
import type { Terminal } from './terminal.ts'

/** Milliseconds of quiet after a change: an editor writes a file in several steps, a checkout many files. */
const SETTLE_MS = 100
/** Milliseconds a server that is replaced gets to leave. */
const LEAVE_MS = 3000
const SOURCE = /\.(?:[cm]?[jt]sx?|json)$/
/** Folders that hold no source of anybody's own: packages, what programs write, what begins with a dot. */
const NOT_SOURCE = /^(?:node_modules|dist|data|coverage|\..*)$/
/** Most folders that are watched: each takes one of the few thousand watches that a user has. */
const MAX_FOLDERS = 500

export interface Watched {
  /** The file of `--app`. Its folder is watched, with what lies below it. */
  readonly app: string
  /** The file of `--config`, if any. */
  readonly config: string | undefined
  /** What to start: the arguments of `serve`, without `--watch`. */
  readonly args: readonly string[]
  /** Variables of the server: a secret that has to outlive a restart is one of them. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Runs the server as a child and starts it again on changes. Resolves with the exit code once it is told to stop. */
export async function watchAndServe({ app, config, args, env }: Watched, terminal: Terminal): Promise<number> {
  const { promise, resolve: finish } = Promise.withResolvers<number>()
  let child = start()
  let settling: Timer | undefined
  let leaving = false

  function start() {
    // The channel tells the child when its parent is gone, however that ended.
    return Bun.spawn([...ownCommand(), 'serve', ...args, '--supervised'], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...env },
      ipc: () => {},
      onExit: (_child, code) => {
        if (!leaving && code) terminal.err('tidings: the server has ended; it starts again when a file changes')
      },
    })
  }

  async function end(): Promise<void> {
    child.kill('SIGTERM')
    const patience = setTimeout(() => child.kill('SIGKILL'), LEAVE_MS)
    await child.exited
    clearTimeout(patience)
  }

  async function restart(): Promise<void> {
    leaving = true
    await end()
    leaving = false
    terminal.out('tidings: a file has changed, starting again')
    child = start()
  }

  // One after the other: a change during a restart is another restart.
  let line = Promise.resolve()
  const changed = (): void => {
    clearTimeout(settling)
    settling = setTimeout(() => {
      line = line.then(restart)
    }, SETTLE_MS)
  }

  const watchers = sourceFolders(dirname(resolve(app))).map((folder) =>
    watch(folder, (_event, name) => {
      if (name && SOURCE.test(name)) changed()
    }),
  )
  if (config !== undefined) {
    // The folder and not the file: an editor that saves by renaming leaves a watch on the old file.
    watchers.push(watch(dirname(resolve(config)), (_event, name) => void (name === basename(config) && changed())))
  }

  let told = false
  const stop = (): void => {
    if (told) child.kill('SIGKILL')
    told = true
    leaving = true
    clearTimeout(settling)
    for (const watcher of watchers) watcher.close()
    line = line.then(end).then(() => finish(0))
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return await promise
}

/** The folder and those below it that may hold source. */
function sourceFolders(root: string): string[] {
  const folders = [root]
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !NOT_SOURCE.test(entry.name) && folders.length < MAX_FOLDERS) {
        folders.push(join(folder, entry.name))
      }
    }
  }
  return folders
}
