/** `serve --workers`: one server of several processes on one port. */
import { createLog } from '../../telemetry/log.ts'
import type { Arguments } from '../arguments.ts'
import { banner } from '../banner.ts'
import { untilStopped } from '../lifetime.ts'
import { reasonOf } from '../operators-error.ts'
import { appFile } from '../prepare.ts'
import { modeOf, presentKeys, refuse, settings } from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import { claimPorts } from './claim-ports.ts'
import { Supervisor } from './supervisor.ts'

interface CommandLine {
  /** As it was typed, behind `serve`: workers are given the same. */
  readonly args: readonly string[]
  readonly given: Arguments
}

/** Runs the workers, to their end. Resolves with the exit code. */
export async function serveWorkers(count: number, { args, given }: CommandLine, terminal: Terminal): Promise<number> {
  // Handlers are loaded where they run; whether they make up for missing keys is seen there, too.
  const keysOptional = appFile(given, terminal) !== undefined
  const loaded = settings(given, terminal, { keysOptional })
  if (!loaded) return 1
  if (loaded.config.redis.url === undefined) {
    const how = 'set TIDINGS_REDIS_URL or --redis.url'
    refuse([`--workers: expected redis.url, over which workers hear each other, found none; ${how}`], terminal)
    return 1
  }
  try {
    const config = await claimPorts(loaded.config)
    const log = createLog({ ...config.log, shared: true })
    const supervisor = new Supervisor({ count, args, env: terminal.env, config, log })
    let { auth } = config
    const start = async () => {
      const url = await supervisor.start()
      log.info('workers_started', { url, workers: count })
      if (modeOf(given, terminal) === 'development') terminal.out(await banner(config, url))
      return {
        stop: (reason: string) => supervisor.stop(reason),
        async reload() {
          auth = presentKeys(given, terminal, { auth, keysOptional })
          supervisor.useKeys(auth)
        },
      }
    }
    return await untilStopped(start, { log })
  } catch (error) {
    terminal.err(`tidings: ${reasonOf(error)}`)
    return 1
  }
}
