/** The options of a command, and flags of the configuration beside them. */

import { parseArgs } from 'node:util'
import { FLAG_NAMES, type Flags } from '../config.ts'

/** A command's own options: `switch` stands alone, `text` has a value, `texts` may be given several times. */
export type Options = Readonly<Record<string, 'switch' | 'text' | 'texts'>>

export interface Arguments {
  has(option: string): boolean
  text(option: string): string | undefined
  texts(option: string): readonly string[]
  /** Everything else that looked like a flag: the configuration knows which exist. */
  readonly flags: Flags
  /** What was wrong, one line each. */
  readonly problems: readonly string[]
}

/** The options of every command that reads the configuration. */
export const CONFIG_OPTIONS = { config: 'text', dev: 'switch' } as const satisfies Options

export function parseArguments(args: readonly string[], options: Options): Arguments {
  const given = new Map<string, string[]>()
  const flags: Record<string, string | undefined> = {}
  const problems: string[] = []
  for (const token of tokensOf(args, options)) {
    if (token.kind === 'positional') problems.push(`${token.value}: expected an option, found an argument`)
    if (token.kind !== 'option') continue
    const { name, rawName, inlineValue } = token
    // `--config --dev` has forgotten a value; it does not name a file called "--dev".
    const value = inlineValue === false && token.value?.startsWith('-') ? undefined : token.value
    const kind = Object.hasOwn(options, name) ? options[name] : undefined
    if (!rawName.startsWith('--')) problems.push(`${rawName}: expected a flag with two dashes, found one`)
    else if (kind === undefined) flags[name] = value
    else if (kind === 'switch' && value !== undefined) problems.push(`${rawName}: expected no value, found one`)
    else if (kind !== 'switch' && value === undefined) problems.push(`${rawName}: expected a value, found nothing`)
    else given.set(name, [...(given.get(name) ?? []), value ?? ''])
  }
  return {
    has: (option) => given.has(option),
    text: (option) => given.get(option)?.at(-1),
    texts: (option) => given.get(option) ?? [],
    flags,
    problems,
  }
}

function tokensOf(args: readonly string[], options: Options) {
  return parseArgs({
    args: [...args],
    // Not strict: it would stop at the first problem, in words of its own.
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      // Named, so that `--log.level debug` has its value as `--log.level=debug` has.
      ...FLAG_NAMES.map((name) => option(name, 'text')),
      ...Object.entries(options).map(([name, kind]) => option(name, kind)),
    ]),
  }).tokens
}

function option(name: string, kind: Options[string]) {
  return [name, { type: kind === 'switch' ? 'boolean' : 'string' } as const] as const
}
