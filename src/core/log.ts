/** The log as the rest of the server sees it: events with fields. Where the lines go is `telemetry/`'s affair. */

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Named values of a line, in snake_case. Anything may be given: it is cut, escaped and redacted before it is written. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writing never throws and never waits, whatever the fields are. */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log whose every line carries `fields` too; a line's own field of the same name wins. */
  child(fields: LogFields): Log
}

/** Says nothing: the default where no log is given. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}
