/** The two forms of a line: JSON for machines, text for people. One event is one line in both, whatever is in it. */

import type { LogLevel } from '../core/log.ts'
import type { Plain } from './plain.ts'

export interface Entry {
  readonly level: LogLevel
  /** Milliseconds since 1970. */
  readonly time: number
  readonly event: string
  readonly fields: { readonly [key: string]: Plain }
}

/** Makes a line, with its end. */
export type Format = (entry: Entry) => string

/**
 * What JSON may hold as it stands and a terminal or a line reader would still act on: DEL and the C1 controls, other
 * line ends, marks that turn the direction of text. (JSON itself escapes C0 and lone surrogates.)
 */
const UNSAFE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const OWN_KEYS: ReadonlySet<string> = new Set(['level', 'time', 'event'])

/** `{"level":"info","time":"2025-01-31T12:00:00.000Z","event":"connection_opened","connection_id":"…"}` */
export function jsonLine({ level, time, event, fields }: Entry): string {
  let line = `{"level":"${level}","time":"${new Date(time).toISOString()}","event":${encode(event)}`
  // A field called `level` must not read as the line's own.
  for (const key in fields) line += `,${encode(OWN_KEYS.has(key) ? `_${key}` : key)}:${encode(fields[key])}`
  return `${line}}\n`
}

const COLOURS: Readonly<Record<LogLevel, string>> = { debug: '90', info: '32', warn: '33', error: '31' }

/** `12:00:00.000 INFO  connection_opened connection_id=… user_id=alice`, times in UTC. */
export function prettyLine(colour: boolean): Format {
  const paint = (code: string, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  return ({ level, time, event, fields }) => {
    let line = `${paint('90', new Date(time).toISOString().slice(11, 23))} ${paint(COLOURS[level], level.toUpperCase().padEnd(5))} ${paint('1', bare(event))}`
    for (const key in fields) line += ` ${paint('90', `${bare(key)}=`)}${bare(fields[key])}`
    return `${line}\n`
  }
}

/** Words as they are, anything else as JSON: spaces, quotes and control characters cannot make a second field or line. */
function bare(value: Plain | undefined): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : encode(value)
}

function encode(value: Plain | undefined): string {
  return JSON.stringify(value ?? null).replace(
    UNSAFE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
