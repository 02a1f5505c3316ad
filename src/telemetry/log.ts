/** Structured logs: one line per event. Written here, without a library: loading one took longer than a tenth of the whole start. */

import { isatty } from 'node:tty'
import { LOG_LEVELS, type Log, type LogFields, type LogLevel } from '../core/log.ts'
import { type Format, jsonLine, prettyLine } from './lines.ts'
import { type Plain, plainFields, plainText } from './plain.ts'
import { simpleJsonLine } from './simple-line.ts'
import { type LogDestination, standardOutput } from './stdout.ts'

export interface LogOptions {
  /** The least important lines that are written. */
  readonly level: LogLevel
  /** `auto`: for people in a terminal, JSON elsewhere. */
  readonly format: 'json' | 'pretty' | 'auto'
  /** Standard output where absent. Gets whole lines, at once. */
  readonly destination?: LogDestination
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
      destination: options.destination ?? standardOutput(),
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
  /** Whether lines have no fields but those given with them. */
  #plain = true

  constructor(target: Target, fields: { readonly [key: string]: Plain }) {
    this.#target = target
    this.#fields = fields
    for (const _ in fields) this.#plain = false
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
    if (format === jsonLine && this.#plain) {
      const line = simpleJsonLine(level, now(), event, fields)
      if (line !== undefined) {
        destination.write(line)
        return
      }
    }
    const all = fields === undefined ? this.#fields : this.#with(fields)
    destination.write(format({ level, time: now(), event: plainText(event), fields: all }))
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
