import { run } from '../../src/cli/run.ts'
import { newSecret } from '../../src/config.ts'

export const SECRET = newSecret()

/** Runs a command line in this process, with a good secret and nothing else around it. */
export async function tidings(args: readonly string[], env: Record<string, string | undefined> = {}) {
  const out: string[] = []
  const err: string[] = []
  const code = await run(args, {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    env: { TIDINGS_AUTH_SECRET: SECRET, ...env },
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}
