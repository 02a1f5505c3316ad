/** One value of one source: from what a file, a variable or a flag holds to what the configuration holds. */

import { Check } from 'typebox/value'
import { parseDuration } from './durations.ts'
import type { KeySchema } from './keys.ts'
import { expected, found, words } from './problems.ts'
import { nearest } from './suggest.ts'

/** Most keys that are listed where none is near the one given: a section, not the whole configuration. */
const LISTED_KEYS = 20

/** How values are written: texts alone (environment, flags), or with types of their own (files, objects). */
export type Notation = 'text' | 'typed'

/**
 * Reads `raw` as the schema wants it: texts become numbers, lists and so on where the source has only texts; durations
 * become milliseconds. Every problem is handed to `report` as one line that begins with `label`; then the
 * result is of no use.
 */
export function readValue(
  schema: KeySchema,
  raw: unknown,
  notation: Notation,
  label: string,
  report: (problem: string) => void,
): unknown {
  const wrong = (value: unknown, wanted: KeySchema): undefined => {
    report(`${label}: expected ${expected(wanted)}, found ${found(value, schema.secret ?? false)}`)
  }
  if (schema.type === 'object') {
    if (isTable(raw)) return readTable(schema, raw, notation, label, report)
    // Whatever stands where a table should be may be a secret that lost its key.
    report(`${label}: expected ${expected(schema)}, found ${found(raw, true)}`)
    return undefined
  }
  if (schema.type === 'array') {
    const items = notation === 'text' ? listOf(schema, raw) : raw
    if (!Array.isArray(items)) return wrong(raw, schema)
    const item = schema.items ?? {}
    const [inner, name]: [Notation, (index: number) => string] = item.properties
      ? ['typed', (index) => `${label}[${index}]`]
      : [notation, () => label]
    return items.map((value, index) => readValue(item, value, inner, name(index), report))
  }
  const value = scalar(schema, raw, notation)
  return Check(schema, value) ? value : wrong(raw, schema)
}

/** Reads the keys of a table. Keys that the schema does not have are reported, with the name that was probably meant. */
function readTable(
  schema: KeySchema,
  table: Record<string, unknown>,
  notation: Notation,
  label: string,
  report: (problem: string) => void,
): Record<string, unknown> {
  const properties = schema.properties ?? {}
  const result: Record<string, unknown> = {}
  for (const [key, raw] of Object.entries(table)) {
    // A key that is written without a value is a key that is not set.
    if (raw === undefined || raw === null) continue
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined
    if (property) result[key] = readValue(property, raw, notation, `${label}.${key}`, report)
    else report(unknown(`${label}.${key}`, key, Object.keys(properties)))
  }
  for (const key of schema.required ?? []) {
    const property = properties[key]
    if (property && property.default === undefined && !property.properties && result[key] === undefined) {
      if (table[key] === undefined || table[key] === null)
        report(`${label}.${key}: expected ${expected(property)}, found nothing`)
    }
  }
  return result
}

/** The line for a name that does not exist. */
export function unknown(label: string, name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  const hint = meant
    ? `; did you mean ${meant}?`
    : known.length > LISTED_KEYS
      ? ''
      : `; known are ${words(known, 'and')}`
  return `${label}: expected a known key, found ${found(name, false)}${hint}`
}

export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Fills in what is not there: each key's default (in development the one for it), also inside tables and rules.
 * Keys without a default stay away.
 */
export function withDefaults(
  properties: Readonly<Record<string, KeySchema>>,
  given: Record<string, unknown>,
  development: boolean,
): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [key, schema] of Object.entries(properties)) {
    const value = given[key]
    if (schema.properties) {
      result[key] = withDefaults(schema.properties, isTable(value) ? value : {}, development)
    } else if (value === undefined) {
      const standard = development && schema.development !== undefined ? schema.development : schema.default
      // Copied, so that nobody who changes a configuration changes the next one's defaults.
      if (standard !== undefined) result[key] = structuredClone(scalar(schema, standard, 'typed'))
    } else if (schema.items?.properties && Array.isArray(value)) {
      const rule = schema.items.properties
      result[key] = value.map((item) => withDefaults(rule, isTable(item) ? item : {}, development))
    } else {
      result[key] = value
    }
  }
  return result
}

function scalar(schema: KeySchema, raw: unknown, notation: Notation): unknown {
  if (schema.duration) return typeof raw === 'string' ? parseDuration(raw) : undefined
  if (notation === 'typed' || typeof raw !== 'string') return raw
  if (schema.type === 'integer') return /^\d{1,16}$/.test(raw) ? Number(raw) : undefined
  if (schema.type === 'boolean') return raw === 'true' ? true : raw === 'false' ? false : undefined
  return raw
}

/** The items of a list that is written as a text: JSON where the items are tables, else separated by commas. */
function listOf(schema: KeySchema, raw: unknown): unknown {
  if (typeof raw !== 'string') return raw
  if (!schema.items?.properties) return raw.split(',').flatMap((item) => item.trim() || [])
  try {
    return JSON.parse(raw)
  } catch {
    return undefined
  }
}
