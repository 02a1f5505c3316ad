/** The configuration as a command gets it, and what is printed where it is wrong. */

import { type Config, ConfigError, type Loaded, loadConfig, type Mode } from '../config.ts'
import type { Arguments } from './arguments.ts'
import type { Terminal } from './terminal.ts'

/** Development is asked for; everything else is production, so that a typing error opens nothing. */
export function modeOf(args: Arguments, { env }: Terminal): Mode {
  return args.has('dev') || env.TIDINGS_ENV === 'development' ? 'development' : 'production'
}

/** Loads the configuration; where anything is wrong, prints all of it and returns `undefined`. */
export function settings(args: Arguments, terminal: Terminal, { keysOptional = false } = {}): Loaded | undefined {
  const problems = [...args.problems]
  try {
    const loaded = loadConfig({
      file: args.text('config'),
      env: terminal.env,
      flags: args.flags,
      mode: modeOf(args, terminal),
      keysOptional,
    })
    if (problems.length === 0) return loaded
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems.push(...error.problems)
  }
  refuse(problems, terminal)
  return undefined
}

/** Prints what is wrong with the settings, a line each. */
export function refuse(problems: readonly string[], terminal: Terminal): void {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  terminal.err([`tidings: ${count} with the settings`, ...problems.map((problem) => `  ${problem}`)].join('\n'))
}

/**
 * The keys as the settings name them now, for a server that runs.
 * @throws ConfigError where the settings are wrong.
 */
export function presentKeys(
  args: Arguments,
  terminal: Terminal,
  { auth, keysOptional }: { auth: Config['auth']; keysOptional: boolean },
): Config['auth'] {
  const sources = { file: args.text('config'), env: terminal.env, flags: args.flags, mode: modeOf(args, terminal) }
  const fresh = loadConfig({ ...sources, keysOptional })
  // Another generated secret would end what the printed tokens are good for.
  return fresh.secretGenerated ? auth : fresh.config.auth
}

/** The lines of `--help` on what every command that reads the configuration takes. */
export const CONFIG_HELP = `  --config FILE             read a TOML, YAML or JSON file (or TIDINGS_CONFIG)
  --<section>.<key>=VALUE   set any key of the configuration; tidings check --explain lists them
  --dev                     development: TIDINGS_ENV=development`
