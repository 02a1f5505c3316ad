/**
 * The short way for lines that hold nothing but ids, names, numbers and words, as those of connections do: there is nothing
 * to cut, to escape or to redact, and the careful way leaves so much garbage behind that it showed in the memory of
 * 10,000 connections (1.3 KB each).
 */
import type { LogFields, LogLevel } from '../core/log.ts'
import { isSecretKey, isSuspicious } from './redact.ts'

/** Text that stands in JSON as it is. */
const SIMPLE_TEXT = /^[\w.:@+/-]{0,128}$/
const SIMPLE_KEY = /^[a-z_]{1,32}$/
const OWN_KEYS: ReadonlySet<string> = new Set(['level', 'time', 'event'])
/** Names of fields remembered: ours are a few dozen, an application's may be anything. */
const MAX_KEYS = 500
const keys = new Map<string, boolean>()

/** The line, or `undefined` where a field needs care. `own`: what {@link simpleFields} made of fields that come first. */
export function simpleJsonLine(
  level: LogLevel,
  time: number,
  event: string,
  own: string,
  fields: LogFields | undefined,
): string | undefined {
  const given = simpleFields(fields)
  if (given === undefined || !isSimpleText(event)) return undefined
  return `{"level":"${level}","time":"${new Date(time).toISOString()}","event":"${event}"${own}${given}}\n`
}

/** Fields as they stand in a line, each behind a comma, or `undefined` where one needs care. */
export function simpleFields(fields: LogFields | undefined): string | undefined {
  let text = ''
  for (const key in fields) {
    const value = fields[key]
    if (value === undefined) continue
    if (!isSimpleKey(key)) return undefined
    if (typeof value === 'string' && isSimpleText(value)) text += `,"${key}":"${value}"`
    else if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
      text += `,"${key}":${value}`
    else return undefined
  }
  return text
}

function isSimpleText(text: string): boolean {
  return SIMPLE_TEXT.test(text) && !isSuspicious(text)
}

function isSimpleKey(key: string): boolean {
  const known = keys.get(key)
  if (known !== undefined) return known
  const simple = SIMPLE_KEY.test(key) && !OWN_KEYS.has(key) && !isSecretKey(key)
  if (keys.size < MAX_KEYS) keys.set(key, simple)
  return simple
}
