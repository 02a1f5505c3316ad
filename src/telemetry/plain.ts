/** Turns whatever is logged into a small plain value: cut, redacted, without cycles, without running into a getter's throw. */

import { isSecretKey, REDACTED, redact } from './redact.ts'

/** Longest text in a line, in UTF-16 code units: a URL or a message; nobody reads more of it in a log. */
export const MAX_TEXT_LENGTH = 1024
/** Longest stack: about ten frames. */
const MAX_STACK_LENGTH = 2048
/** Longest name of a field. */
const MAX_KEY_LENGTH = 64
/** Deepest nesting below a field. */
const MAX_DEPTH = 4
/** Most fields of a line; ours have about ten. */
const MAX_FIELDS = 32
/** Most values below the fields of a line, all together: a wide object costs no more than a line is worth. */
const MAX_NESTED_VALUES = 100

export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain }

/** The fields of a line. Never throws; the result has no prototype and may have any key. */
export function plainFields(fields: Readonly<Record<string, unknown>>): { [key: string]: Plain } {
  return new Flattener().entries(fields, 0)
}

/** Text that may be written: no credentials, no more than `limit` characters. */
export function plainText(text: string, limit: number = MAX_TEXT_LENGTH): string {
  if (text.length <= limit) return redact(text)
  return `${redact(text.slice(0, limit))}… (${text.length} characters)`
}

class Flattener {
  #fields = MAX_FIELDS
  #nestedValues = MAX_NESTED_VALUES
  readonly #open = new Set<object>()

  entries(object: object, depth: number): { [key: string]: Plain } {
    const out: { [key: string]: Plain } = Object.create(null)
    for (const key of keysOf(object)) {
      if (this.#isFull(depth)) {
        out['…'] = 'more'
        break
      }
      const value = read(object, key)
      if (value === undefined) continue
      const shown = isSecretKey(key) && !isHarmless(value) ? REDACTED : value
      out[plainText(key, MAX_KEY_LENGTH)] = this.#value(shown, depth)
    }
    return out
  }

  /** Fields count for themselves: a wide value in the first must not eat the others. */
  #isFull(depth: number): boolean {
    return (depth === 0 ? this.#fields : this.#nestedValues) <= 0
  }

  #value(value: unknown, depth: number): Plain {
    if (depth === 0) this.#fields--
    else this.#nestedValues--
    switch (typeof value) {
      case 'string':
        return plainText(value)
      case 'boolean':
        return value
      case 'number':
        return Number.isFinite(value) ? value : String(value)
      case 'object':
        return value === null ? null : this.#nested(value, depth)
      case 'bigint':
        return plainText(value.toString())
      default:
        return `[${typeof value}]`
    }
  }

  #nested(value: object, depth: number): Plain {
    if (this.#open.has(value)) return '[circular]'
    if (depth >= MAX_DEPTH) return '[nested too deep]'
    this.#open.add(value)
    try {
      return this.#object(value, depth)
    } catch {
      // A proxy that throws at every touch.
      return '[unreadable]'
    } finally {
      this.#open.delete(value)
    }
  }

  #object(value: object, depth: number): Plain {
    if (value instanceof Error) return this.#error(value, depth)
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
    if (value instanceof Map || value instanceof Set) return `[${value.constructor.name} of ${value.size}]`
    if (!Array.isArray(value)) return this.entries(value, depth + 1)
    const items: Plain[] = []
    for (let i = 0; i < value.length; i++) {
      if (this.#isFull(depth + 1)) {
        items.push(`… ${value.length - i} more`)
        break
      }
      items.push(this.#value(read(value, String(i)) ?? null, depth + 1))
    }
    return items
  }

  /** An error's own enumerable fields (a code, a path) come after what every error has. */
  #error(error: Error, depth: number): Plain {
    const { name, message, stack, cause } = {
      name: read(error, 'name'),
      message: read(error, 'message'),
      stack: read(error, 'stack'),
      cause: read(error, 'cause'),
    }
    return {
      ...this.entries(error, depth + 1),
      name: plainText(String(name)),
      message: plainText(String(message)),
      ...(typeof stack === 'string' && { stack: plainText(stack, MAX_STACK_LENGTH) }),
      ...(cause !== undefined && { cause: this.#value(cause, depth + 1) }),
    }
  }
}

function keysOf(object: object): string[] {
  try {
    return Object.keys(object)
  } catch {
    return []
  }
}

function read(object: object, key: string): unknown {
  try {
    return Reflect.get(object, key)
  } catch {
    return '[threw]'
  }
}

/** A count or a flag is no credential, whatever it is called. */
function isHarmless(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || value === null
}
