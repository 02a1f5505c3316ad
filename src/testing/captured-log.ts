/** A log that is kept, so that a test can look at it and the terminal stays quiet. */
import type { Log } from '../core/log.ts'
import { createLog } from '../telemetry/log.ts'
import { Changes } from './waiting.ts'

/** A line as it would have been printed, parsed. */
export interface LogLine {
  readonly level: string
  readonly event: string
  readonly [field: string]: unknown
}

export class CapturedLog {
  readonly log: Log
  readonly lines: LogLine[] = []
  /** Everything as it would have been printed. */
  text = ''
  private readonly changes = new Changes()

  constructor() {
    this.log = createLog({ level: 'debug', format: 'json', destination: { write: (line) => this.add(line) } })
  }

  /** Takes whole lines. Text that is no line of ours is kept as text alone. */
  add(text: string): void {
    this.text += text
    for (const line of text.split('\n')) if (line.startsWith('{')) this.lines.push(JSON.parse(line))
    this.changes.tell()
  }

  /** The first line of this event with these fields, written already or from now on. */
  logged(event: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
    const wanted = (line: LogLine) =>
      line.event === event && Object.entries(fields).every(([key, value]) => line[key] === value)
    return this.changes.until(
      () => this.lines.find(wanted),
      () => {
        const others = this.lines.filter((line) => line.event === event)
        return `no line ${event} ${JSON.stringify(fields)} in the log, but ${JSON.stringify(others.slice(-10))}`
      },
    )
  }
}
