import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A program of its own, whose output can be waited for. It is killed at the end of the scope. */
export function program(command: readonly string[], env: Record<string, string | undefined> = {}) {
  // Nothing of the surroundings, or a variable of whoever runs the tests would be a setting of the server.
  const clean = { PATH: process.env.PATH, HOME: process.env.HOME, ...env }
  const child = Bun.spawn([...command], { cwd: ROOT, env: clean, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  let output = ''
  let wake = Promise.withResolvers<void>()
  const gather = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true })
      wake.resolve()
      wake = Promise.withResolvers()
    }
  }
  const ended = Promise.all([gather(child.stdout), gather(child.stderr), child.exited]).then(() => 'ended' as const)
  return {
    child,
    output: () => output,
    /** The first match in everything printed so far or from now on; fails where the program ends without one. */
    async printed(pattern: RegExp): Promise<string> {
      for (;;) {
        const match = pattern.exec(output)
        if (match) return match[1] ?? match[0]
        if ((await Promise.race([wake.promise, ended])) === 'ended' && !pattern.test(output)) {
          throw new Error(`ended without ${pattern}:\n${output}`)
        }
      }
    },
    async exitCode(): Promise<number> {
      await ended
      return child.exitCode ?? -1
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** The command line from its source, as somebody would start it. */
export function tidingsProcess(args: readonly string[], env?: Record<string, string | undefined>) {
  return program([process.execPath, 'src/main.ts', ...args], env)
}
