/** `tidings check`: whether a server would start with this configuration. */

import { configReference } from '../config/reference.ts'
import { CONFIG_OPTIONS, parseArguments } from './arguments.ts'
import { prepare } from './prepare.ts'
import { CONFIG_HELP } from './settings.ts'
import type { Command } from './terminal.ts'

export const check: Command = {
  help: `Usage: tidings check [options]

Checks the configuration as tidings serve would, from the same file, environment and flags, and starts nothing.
Exits with 0 where all is well, else with 1 and one line for each problem.

  --app FILE                load that file of handlers too
${CONFIG_HELP}
  --explain                 print the reference of the configuration as Markdown and check nothing`,

  async run(args, terminal) {
    const given = parseArguments(args, { ...CONFIG_OPTIONS, app: 'text', explain: 'switch' })
    if (given.has('explain')) {
      terminal.out(configReference().trimEnd())
      return 0
    }
    if (!(await prepare(given, terminal))) return 1
    terminal.out('The configuration is good.')
    return 0
  },
}
