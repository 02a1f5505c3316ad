/** Structured logs: one line per event. Written here, without a library: loading one took longer than a tenth of the whole start. */

import { isatty } from 'node:tty'
import { LOG_LEVELS, type Log, type LogFields, type LogLevel } from '../core/log.ts'
import { type Format, jsonLine, prettyLine } from './lines.ts'
import { type Plain, plainFields, plainText } from './plain.ts'
import { simpleFields, simpleJsonLine } from './simple-line.ts'
import { type LogDestination, standardOutput } from './stdout.ts'

export interface LogOptions {
  /** The least important lines that are written. */
  readonly level: LogLevel
  /** `auto`: for people in a terminal, JSON elsewhere. */
  readonly format: 'json' | 'pretty' | 'auto'
  /** Standard output where absent. Gets whole lines, at once. */
  readonly destination?: LogDestination
  /** Whether other processes write to the same standard output: their lines and these do not cut each other in two. */
  readonly shared?: boolean
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** A log that writes from `level` on. Values are cut, escaped and redacted; every JSON line parses, whatever they are. */
export function createLog(options: LogOptions): Log {
  const terminal = options.destination === undefined && isatty(1)
  const pretty = options.format === 'pretty' || (options.format === 'auto' && terminal)
  return new LineLog(
    {
      threshold: LOG_LEVELS.indexOf(options.level),
      format: pretty ? prettyLine(terminal && !process.env.NO_COLOR) : jsonLine,
      destination: options.destination ?? standardOutput(options.shared ?? false),
      now: options.now ?? Date.now,
    },
    Object.create(null),
  )
}

interface Target {
  /** The index in LOG_LEVELS from which on lines are written. */
  readonly threshold: number
  readonly format: Format
  readonly destination: LogDestination
  readonly now: () => number
}

class LineLog implements Log {
  readonly #target: Target
  readonly #fields: { readonly [key: string]: Plain }
  /** The own fields as simple lines have them; `null` where they need care. Made when first needed. */
  #simple: string | null | undefined

  constructor(target: Target, fields: { readonly [key: string]: Plain }) {
    this.#target = target
    this.#fields = fields
  }

  debug(event: string, fields?: LogFields): void {
    if (this.#target.threshold <= 0) this.#write('debug', event, fields)
  }

  info(event: string, fields?: LogFields): void {
    if (this.#target.threshold <= 1) this.#write('info', event, fields)
  }

  warn(event: string, fields?: LogFields): void {
    if (this.#target.threshold <= 2) this.#write('warn', event, fields)
  }

  error(event: string, fields?: LogFields): void {
    this.#write('error', event, fields)
  }

  child(fields: LogFields): Log {
    return new LineLog(this.#target, this.#with(fields))
  }

  #write(level: LogLevel, event: string, fields: LogFields | undefined): void {
    const { now, format, destination } = this.#target
    const line = format === jsonLine ? this.#simpleLine(level, event, fields) : undefined
    if (line !== undefined) {
      destination.write(line)
      return
    }
    const all = fields === undefined ? this.#fields : this.#with(fields)
    destination.write(format({ level, time: now(), event: plainText(event), fields: all }))
  }

  /** The line, or `undefined` where the careful way is needed. */
  #simpleLine(level: LogLevel, event: string, fields: LogFields | undefined): string | undefined {
    if (this.#simple === undefined) this.#simple = simpleFields(this.#fields) ?? null
    if (this.#simple === null) return undefined
    try {
      // A field that is given anew covers the own one.
      for (const key in this.#fields) if (fields?.[key] !== undefined) return undefined
      return simpleJsonLine(level, this.#target.now(), event, this.#simple, fields)
    } catch {
      // A getter of an application's that throws.
      return undefined
    }
  }

  /** Own and given fields, without a prototype: a field may be called `__proto__`. */
  #with(fields: LogFields): { readonly [key: string]: Plain } {
    const all: { [key: string]: Plain } = Object.create(null)
    for (const key in this.#fields) all[key] = this.#fields[key] ?? null
    const given = plainFields(fields)
    for (const key in given) all[key] = given[key] ?? null
    return all
  }
}
