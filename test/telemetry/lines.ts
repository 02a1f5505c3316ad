import { createLog, type LogOptions } from '../../src/telemetry/log.ts'

/** A log and the lines it has written, each with its end. */
export function captured(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({
    level: 'debug',
    format: 'json',
    destination: { write: (line) => void lines.push(line) },
    now: () => 1_893_456_000_123,
    ...options,
  })
  return { log, lines }
}
