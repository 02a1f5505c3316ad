/** The command line: finds the command and runs it. */

import { commit, VERSION } from '../version.ts'
import { type Command, processTerminal, type Terminal } from './terminal.ts'

interface Entry {
  readonly summary: string
  /** Loaded only when asked for: a health probe must not wait for a server's modules. */
  readonly load: () => Promise<Command>
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: { summary: 'start the server', load: async () => (await import('./serve.ts')).serve },
  token: { summary: 'print a token for a user, or a new secret', load: async () => (await import('./token.ts')).token },
  check: {
    summary: 'check a configuration, or print its reference',
    load: async () => (await import('./check.ts')).check,
  },
  health: {
    summary: 'ask a running server whether it is ready',
    load: async () => (await import('./health.ts')).health,
  },
}

/** Exit code of a command line that names no command, as shells use it. */
const WRONG_USAGE = 2

/** Runs one command line (without the program's name) and resolves with the exit code. */
export async function run(argv: readonly string[], terminal: Terminal = processTerminal): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--version' || name === '-v') {
    terminal.out(`tidings ${VERSION} (${commit()})`)
    return 0
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    terminal.out(usage())
    return 0
  }
  const entry = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!entry) {
    if (name !== undefined) terminal.err(`tidings: there is no command ${JSON.stringify(name)}\n`)
    terminal.err(usage())
    return WRONG_USAGE
  }
  const command = await entry.load()
  if (rest.includes('--help') || rest.includes('-h')) {
    terminal.out(command.help)
    return 0
  }
  return await command.run(rest, terminal)
}

function usage(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(8)}${summary}`)
  return `tidings ${VERSION}: a realtime server in one binary

Usage: tidings <command> [options]

${commands.join('\n')}

tidings <command> --help shows the options of a command, tidings --version the version and the commit.
With nothing set up, tidings serve --dev starts a server to play with.`
}
