/** What a key of the configuration is made of: its check, its words, its default with the reason for it. */

import { type TSchema, Type } from 'typebox'

/** The words every key carries; the reference is printed from them. */
export interface KeyWords {
  /** What the key does, one or two sentences. */
  readonly description: string
  /** In file form (durations with their unit). Absent: the key has no default. */
  readonly default?: unknown
  /** The default in development, where it differs. */
  readonly development?: unknown
  /** Why the default is what it is. */
  readonly reason: string
  /** Stands for the default where it is computed at the start. */
  readonly computed?: string
  /** Never printed, not even when it is wrong. */
  readonly secret?: boolean
  /** What a problem says was expected; made from the schema where absent. */
  readonly expected?: string
}

interface Range {
  readonly minimum?: number
  readonly maximum?: number
}

/** A whole number. Where 0 switches a bound off, `minimum` is 0. */
export function integer(key: KeyWords & Range) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...key })
}

export function text(key: KeyWords & { readonly pattern?: string; readonly minLength?: number }) {
  return Type.String({ minLength: 1, ...key })
}

export function flag(key: KeyWords) {
  return Type.Boolean({ ...key })
}

export function choice<const Values extends readonly string[]>(values: Values, key: KeyWords) {
  return Type.Unsafe<Values[number]>(Type.Enum([...values], { ...key }))
}

export function list<Items extends TSchema>(items: Items, key: KeyWords) {
  return Type.Array(items, { ...key })
}

/** A length of time: a string with a unit in every source, a number of milliseconds once loaded. */
export function duration(key: KeyWords) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, duration: true, ...key })
}

/** One of some words, or `role:NAME` for those who have that role. */
export function access<const Words extends readonly string[]>(words: Words, key: KeyWords) {
  return Type.Unsafe<Words[number] | `role:${string}`>(
    Type.String({
      pattern: `^(?:${words.join('|')}|role:\\S{1,128})$`,
      expected: `${words.join(', ')} or role:NAME`,
      ...key,
    }),
  )
}

/** What reads, prints and explains a schema needs its keywords, not its type. */
export function asKeySchema(schema: TSchema): KeySchema {
  return schema
}

/** A key's schema as everything but the type checker sees it: the JSON Schema keywords and the words above. */
export interface KeySchema extends Partial<KeyWords> {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly items?: KeySchema
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly required?: readonly string[]
  readonly duration?: boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly pattern?: string
}
