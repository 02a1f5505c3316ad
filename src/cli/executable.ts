/** Whether this is the compiled binary: its own files lie in a file system that only it sees. */
export function isCompiled(): boolean {
  return Bun.main.startsWith('/$bunfs/')
}

/** The command that starts this program again, without its arguments. */
export function ownCommand(): string[] {
  // With the runtime's own flags: one of them keeps it from reading the folder's .env.
  return isCompiled() ? [process.execPath] : [process.execPath, ...process.execArgv, Bun.main]
}
