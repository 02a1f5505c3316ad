/** Where configuration comes from: a file, an object, the environment, flags. Each later one covers the earlier. */

import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { KeySchema } from './keys.ts'
import { ROOT } from './schema.ts'
import { isTable, type Notation, readValue, unknown } from './values.ts'

export type Environment = Readonly<Record<string, string | undefined>>
/** Flags by name without the dashes; `undefined` where one was given without a value. */
export type Flags = Readonly<Record<string, string | undefined>>
/** Takes one problem, as one line. */
export type Report = (problem: string) => void

/** What the sources gave. */
export interface Values {
  /** Values by section and key. */
  readonly tables: Record<string, unknown>
  /** Where each value came from, by `section.key`. */
  readonly origins: Map<string, string>
  /** Keys whose value was reported or could not be read, so that what follows from its absence is not reported too. */
  readonly refused: Set<string>
}

/** Variables that are not configuration: the mode, the file and the app, and what a build leaves behind. */
const OTHER_VARIABLES = new Set(['TIDINGS_ENV', 'TIDINGS_CONFIG', 'TIDINGS_APP', 'TIDINGS_VERSION', 'TIDINGS_COMMIT'])
/** What Kubernetes sets in every container for a service whose name begins with `tidings`. */
const SERVICE_VARIABLE =
  /^TIDINGS(?:_[A-Z0-9]+)*_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)$/
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//

/** Every key as `section.key` (and `rooms`), in the order of the schema. */
export const KEYS: ReadonlyMap<string, KeySchema> = new Map(
  Object.entries(ROOT.properties ?? {}).flatMap(([section, schema]) =>
    schema.properties
      ? Object.entries(schema.properties).map(([key, value]): [string, KeySchema] => [`${section}.${key}`, value])
      : [[section, schema] as [string, KeySchema]],
  ),
)

/** The variable that sets a key: `TIDINGS_LIMITS_PER_USER` for `limits.per_user`. */
export function variableOf(key: string): string {
  return `TIDINGS_${key.replace('.', '_').toUpperCase()}`
}

const BY_VARIABLE = new Map([...KEYS.keys()].map((key) => [variableOf(key), key]))
const SHORT_FLAGS: Readonly<Record<string, string>> = { port: 'server.port' }

/** The names of all flags that set a key, without the dashes. */
export const FLAG_NAMES: readonly string[] = [...KEYS.keys(), ...Object.keys(SHORT_FLAGS)]

/** @param label what named the file: a flag or a variable. */
export function fromFile(path: string, label: string, values: Values, report: Report): void {
  const table = parseFile(path, label, report)
  if (table !== undefined) fromTable(table, `${path}:`, values, report)
  else for (const key of KEYS.keys()) values.refused.add(key)
}

/** A table as a file or a program gives it. `prefix` comes before each key in problems. */
export function fromTable(table: unknown, prefix: string, values: Values, report: Report): void {
  if (!isTable(table)) {
    report(`${prefix} expected sections with keys, found none`)
    return
  }
  const sections = ROOT.properties ?? {}
  for (const [name, raw] of Object.entries(table)) {
    const schema = Object.hasOwn(sections, name) ? sections[name] : undefined
    const label = prefix + name
    // A key that is written without a value is a key that is not set.
    if (raw === undefined || raw === null) continue
    if (!schema) report(unknown(label, name, Object.keys(sections)))
    else if (!schema.properties) take(values, name, raw, 'typed', label, report)
    else if (!isTable(raw)) readValue(schema, raw, 'typed', label, report)
    else {
      for (const [key, value] of Object.entries(raw)) {
        const known = Object.hasOwn(schema.properties, key)
        if (value === undefined || value === null) continue
        if (known) take(values, `${name}.${key}`, value, 'typed', `${label}.${key}`, report)
        else report(unknown(`${label}.${key}`, key, Object.keys(schema.properties)))
      }
    }
  }
}

export function fromEnvironment(env: Environment, values: Values, report: Report): void {
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('TIDINGS_') || OTHER_VARIABLES.has(name) || SERVICE_VARIABLE.test(name)) continue
    // An empty variable counts as unset: that is how orchestrators pass what nobody filled in.
    if (!text || (name.endsWith('_PORT') && SERVICE_ADDRESS.test(text))) continue
    const key = BY_VARIABLE.get(name)
    const fileKey = name.endsWith('_FILE') ? BY_VARIABLE.get(name.slice(0, -'_FILE'.length)) : undefined
    if (key) take(values, key, text, 'text', name, report)
    else if (!fileKey) report(unknown(name, name, [...BY_VARIABLE.keys()]))
    else if (env[variableOf(fileKey)]) report(`${name}: expected this or ${variableOf(fileKey)}, found both`)
    else {
      const content = read(text, name, report)
      // Editors and `echo` end a file with a line break that is no part of the value.
      if (content !== undefined) take(values, fileKey, content.replace(/\r?\n$/, ''), 'text', name, report)
      else values.refused.add(fileKey)
    }
  }
}

export function fromFlags(flags: Flags, values: Values, report: Report): void {
  for (const [flag, text] of Object.entries(flags)) {
    const key = Object.hasOwn(SHORT_FLAGS, flag) ? (SHORT_FLAGS[flag] ?? flag) : flag
    if (!KEYS.has(key)) report(unknown(`--${flag}`, flag, FLAG_NAMES))
    else take(values, key, text, 'text', `--${flag}`, report)
  }
}

/** Reads one value and keeps it, with where it came from; one with a problem is refused and leaves what was there. */
function take(values: Values, key: string, raw: unknown, notation: Notation, label: string, report: Report): void {
  let good = true
  const value = readValue(KEYS.get(key) ?? {}, raw, notation, label, (problem) => {
    good = false
    report(problem)
  })
  if (!good) {
    values.refused.add(key)
    return
  }
  const [section = key, name] = key.split('.')
  if (name === undefined) values.tables[section] = value
  else tableOf(values.tables, section)[name] = value
  values.origins.set(key, label)
}

/** The table of a section, made where there is none yet. */
export function tableOf(tables: Record<string, unknown>, section: string): Record<string, unknown> {
  const table = tables[section]
  if (isTable(table)) return table
  const made: Record<string, unknown> = {}
  tables[section] = made
  return made
}

const PARSERS: Readonly<Record<string, [language: string, parse: (text: string) => unknown]>> = {
  '.toml': ['TOML', Bun.TOML.parse],
  '.yaml': ['YAML', Bun.YAML.parse],
  '.yml': ['YAML', Bun.YAML.parse],
  '.json': ['JSON', JSON.parse],
}

function parseFile(path: string, label: string, report: Report): unknown {
  const parser = PARSERS[extname(path).toLowerCase()]
  if (!parser) {
    report(`${label}: expected a file that ends in .toml, .yaml, .yml or .json, found ${path}`)
    return undefined
  }
  const text = read(path, label, report)
  if (text === undefined) return undefined
  const [language, parse] = parser
  try {
    // A file with nothing but comments is a file without settings.
    return parse(text) ?? {}
  } catch (error) {
    // Parsers quote what they stumbled over, which may be a secret without its quotes.
    const reason = String(error).replace(/"[^"]*"|'[^']{2,}'/g, '…')
    report(`${path}: expected ${language}, found ${reason}`)
    return undefined
  }
}

function read(path: string, label: string, report: Report): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    report(`${label}: expected a file that can be read, found ${path} (${String(reason)})`)
    return undefined
  }
}
