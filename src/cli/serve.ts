/** `tidings serve`: the server, from its settings to its end. */

import { printConfig } from '../config/print.ts'
import { type Arguments, CONFIG_OPTIONS, parseArguments } from './arguments.ts'
import { banner } from './banner.ts'
import { type Running, untilStopped } from './lifetime.ts'
import { reasonOf } from './operators-error.ts'
import { watchingParent } from './parent.ts'
import { appFile, prepare } from './prepare.ts'
import { CONFIG_HELP, modeOf, presentKeys, settings } from './settings.ts'
import type { Command, Terminal } from './terminal.ts'
import { isWorkerCount, MAX_WORKERS } from './workers/count.ts'

export const serve: Command = {
  help: `Usage: tidings serve [options]

Starts the server. It stops on SIGTERM or Ctrl-C once its clients have been sent elsewhere, and at once when told twice;
SIGHUP reads its keys again.

  --app FILE                your own handlers: a TypeScript file with export default tidings()… (or TIDINGS_APP)
  --watch                   start again when that file or one beside it changes (development)
  --workers NUMBER          as many processes on one port, which hear each other over redis.url
  --port NUMBER             the same as --server.port
  --print-config            print what all settings together amount to, secrets masked, and start nothing
${CONFIG_HELP}`,

  async run(args, terminal) {
    const given = parseArguments(args, {
      ...CONFIG_OPTIONS,
      ...{ app: 'text', watch: 'switch', 'print-config': 'switch', supervised: 'switch' },
      ...{ workers: 'text', worker: 'text' },
    })
    if (given.has('worker')) return await (await import('./workers/worker.ts')).serveAsWorker(given, terminal)
    const mode = modeOf(given, terminal)
    const app = appFile(given, terminal)
    const watching = given.has('watch')
    const workers = given.text('workers')
    const problems = [...given.problems]
    if (workers !== undefined && !isWorkerCount(workers)) {
      problems.push(`--workers: expected a whole number from 1 to ${MAX_WORKERS}, found ${JSON.stringify(workers)}`)
    }
    if (watching && workers !== undefined) problems.push('--watch: expected one process, found --workers')
    if (watching && mode === 'production') problems.push('--watch: expected development (--dev), found production')
    if (watching && app === undefined) problems.push('--watch: expected --app FILE to watch, found none')
    const complete = { ...given, problems }

    if (given.has('print-config')) {
      const loaded = settings(complete, terminal)
      if (loaded) terminal.out(printConfig(loaded.config))
      return loaded ? 0 : 1
    }
    if (workers !== undefined && !watching) {
      const { serveWorkers } = await import('./workers/serve-workers.ts')
      return await serveWorkers(Number(workers), { args, given: complete }, terminal)
    }
    if (!watching || app === undefined) return await serveHere(complete, terminal)
    // Handlers are loaded where they run: in the child, of which each has the newest.
    const loaded = settings(complete, terminal)
    if (!loaded) return 1
    const { watchAndServe } = await import('./watch.ts')
    return await watchAndServe(
      {
        app,
        config: given.text('config') ?? (terminal.env.TIDINGS_CONFIG || undefined),
        // Whoever edits waits for the restart, not for clients to leave one by one.
        args: [...args.filter((arg) => arg !== '--watch'), '--drain.delay_ms=0', '--drain.window_ms=0'],
        // Tokens that were printed stay good over restarts.
        env: { ...terminal.env, ...(loaded.secretGenerated && { TIDINGS_AUTH_SECRET: loaded.config.auth.secret }) },
      },
      terminal,
    )
  },
}

/** Runs the server in this process, to its end. */
async function serveHere(given: Arguments, terminal: Terminal): Promise<number> {
  const prepared = await prepare(given, terminal)
  if (!prepared) return 1
  const { config, app } = prepared
  const mode = modeOf(given, terminal)
  const [{ startServer }, { createLog }] = await Promise.all([import('../app.ts'), import('../telemetry/log.ts')])
  const log = createLog(config.log)
  const start = async (): Promise<Running> => {
    const server = await startServer(config, { ...(app && { app }), mode, log })
    if (mode === 'development') terminal.out(await banner(config, server.url))
    return {
      stop: (reason) => server.stop(reason),
      async reload() {
        const { auth } = config
        await server.reloadKeys(presentKeys(given, terminal, { auth, keysOptional: app !== undefined }))
      },
    }
  }
  try {
    return await untilStopped(start, { log, parent: given.has('supervised') ? watchingParent : undefined })
  } catch (error) {
    terminal.err(`tidings: ${reasonOf(error)}`)
    return 1
  }
}
