/** What is wrong with a configuration, in lines that say where, what was expected and what was found. */

import type { KeySchema } from './keys.ts'

/** Longest part of a wrong value that is shown. */
const SHOWN_CHARACTERS = 60

/** Everything that is wrong, found in one go: one line each, no value of a secret key among them. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** What a key wants, in words. */
export function expected(schema: KeySchema): string {
  if (schema.expected) return schema.expected
  if (schema.duration) return 'a duration with a unit, such as 500ms, 30s, 15m, 1h or 7d'
  if (schema.enum) return words(schema.enum)
  switch (schema.type) {
    case 'integer':
      return schema.maximum === undefined || schema.maximum === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${schema.minimum ?? 0}`
        : `a whole number from ${schema.minimum ?? 0} to ${schema.maximum}`
    case 'boolean':
      return 'true or false'
    case 'array':
      return schema.items?.properties ? 'a list of rules' : `a list, each item ${expected(schema.items ?? {})}`
    case 'object':
      return `a table with the keys ${words(Object.keys(schema.properties ?? {}), 'and')}`
    default:
      return schema.minLength ? 'a text that is not empty' : 'a text'
  }
}

/** What was there instead; of a secret only its size. */
export function found(value: unknown, secret: boolean): string {
  if (value === undefined) return 'nothing'
  if (secret) return typeof value === 'string' ? `a text of ${value.length} characters` : `a ${typeof value}`
  const text = JSON.stringify(value) ?? String(value)
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}

/** `a, b or c`. */
export function words(items: readonly string[], last: 'and' | 'or' = 'or'): string {
  if (items.length < 2) return items.join('')
  return `${items.slice(0, -1).join(', ')} ${last} ${items.at(-1)}`
}
