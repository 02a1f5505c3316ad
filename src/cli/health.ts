/** `tidings health`: for a container's health check, which has no other program to ask with. */

import { CONFIG_OPTIONS, parseArguments } from './arguments.ts'
import { CONFIG_HELP, settings } from './settings.ts'
import type { Command } from './terminal.ts'

/** Milliseconds to wait for an answer: under the 3 s that the image's health check grants, so that the reason is printed. */
const TIMEOUT_MS = 2500

export const health: Command = {
  help: `Usage: tidings health [options]

Asks a server on this machine whether it is ready, at the port of its configuration. Exits with 0 where it is, else with 1.

  --url URL                 ask there instead, for example http://127.0.0.1:8080/readyz
${CONFIG_HELP}
  --port NUMBER             the same as --server.port`,

  async run(args, terminal) {
    const given = parseArguments(args, { ...CONFIG_OPTIONS, url: 'text' })
    // The probe verifies no token: it may run without the secrets of the server.
    const loaded = settings(given, terminal, { keysOptional: true })
    if (!loaded) return 1
    const url = given.text('url') ?? `${addressOf(loaded.config.server)}/readyz`
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'manual' })
      if (answer.ok) terminal.out('ready')
      else terminal.err(`not ready: ${url} answered ${answer.status}`)
      return answer.ok ? 0 : 1
    } catch (error) {
      terminal.err(`not ready: no answer from ${url} (${reasonOf(error)})`)
      return 1
    }
  },
}

/** A server that listens on every address is asked on the machine's own. */
function addressOf({ host, port }: { host: string; port: number }): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`
}

/** The short name of what went wrong: `ECONNREFUSED`, `TimeoutError`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
