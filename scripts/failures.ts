/** What a test run printed of the tests that failed, to be read again at its end. */
import { stripVTControlCharacters } from 'node:util'

/** Lines before a verdict that are kept: an assertion with what it expected and found, and the end of a server's log. */
const LINES_KEPT = 60

/** Reads a run's output as it comes. */
export class Failures {
  /** Each failed test's last lines by its verdict, which the runner says again at the end. */
  private readonly byVerdict = new Map<string, string>()
  private lines: string[] = []
  private rest = ''

  /** Each failed test's last lines, its verdict the last of them. */
  get found(): string[] {
    return [...this.byVerdict.values()]
  }

  take(chunk: string): void {
    const lines = (this.rest + chunk).split('\n')
    this.rest = lines.pop() ?? ''
    for (const line of lines) this.read(line)
  }

  private read(line: string): void {
    const [, verdict] = /^\((pass|fail|skip|todo)\) /.exec(stripVTControlCharacters(line)) ?? []
    if (verdict === undefined) {
      this.lines.push(line)
      if (this.lines.length > LINES_KEPT) this.lines.shift()
      return
    }
    if (verdict === 'fail' && !this.byVerdict.has(line)) this.byVerdict.set(line, [...this.lines, line].join('\n'))
    this.lines = []
  }
}
