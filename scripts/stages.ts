/** Runs named stages and says in one line each how they went. */

export interface Stage {
  readonly name: string
  /** A command with its arguments, or work in this process that returns what is wrong, one line each. */
  readonly run: readonly string[] | (() => string[] | Promise<string[]>)
}

export interface StageResult {
  readonly name: string
  readonly ok: boolean
  readonly seconds: number
  readonly output: string
}

export const ROOT = new URL('..', import.meta.url).pathname

/** Starts a command in the repository's root, with the project's own tools first on the path. */
export function spawn(command: readonly string[], env: Record<string, string> = {}): Bun.Subprocess<'ignore', 'pipe'> {
  return Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${ROOT}node_modules/.bin:${process.env.PATH}`, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
}

async function runCommand(command: readonly string[]): Promise<{ ok: boolean; output: string }> {
  // One stream for both, so that a failed stage reads as it would in a terminal.
  const child = spawn(['sh', '-c', 'exec "$@" 2>&1', 'sh', ...command], {
    FORCE_COLOR: process.stdout.isTTY ? '1' : '0',
  })
  const output = await new Response(child.stdout).text()
  return { ok: (await child.exited) === 0, output }
}

async function runStage({ name, run }: Stage): Promise<StageResult> {
  const start = performance.now()
  const done = (ok: boolean, output: string): StageResult => {
    const seconds = (performance.now() - start) / 1000
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.toFixed(1)} s`)
    return { name, ok, seconds, output }
  }
  if (typeof run === 'function') {
    const problems = await run()
    return done(problems.length === 0, problems.join('\n'))
  }
  const { ok, output } = await runCommand(run)
  return done(ok, output)
}

/** Runs all stages at once, and prints the output of those that failed after the last has ended. */
export async function runStages(stages: readonly Stage[]): Promise<StageResult[]> {
  const results = await Promise.all(stages.map(runStage))
  for (const { name, ok, output } of results) {
    if (!ok) console.log(`\n--- ${name} ---\n${output.trim()}`)
  }
  return results
}
