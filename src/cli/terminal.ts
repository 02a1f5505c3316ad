/** What a command has of the world: where its words go, and the variables it was started with. */
export interface Terminal {
  /** Writes a line to standard output: results, what others may read on. */
  out(line: string): void
  /** Writes a line to standard error: what went wrong. */
  err(line: string): void
  readonly env: Readonly<Record<string, string | undefined>>
}

export const processTerminal: Terminal = {
  // Bun writes these at once, so that nothing is lost when the process exits right after.
  out: (line) => console.log(line),
  err: (line) => console.error(line),
  env: process.env,
}

/** A command of the command line. */
export interface Command {
  /** Printed by `--help`. */
  readonly help: string
  /** Runs to its end and resolves with the exit code. `args` are what stands behind the command's name. */
  run(args: readonly string[], terminal: Terminal): Promise<number>
}
