import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigInput, newSecret } from '../../src/config.ts'
import { CapturedLog } from '../../src/testing/captured-log.ts'
import { testConfig } from '../../src/testing/server.ts'
import { tokenFor, type Who } from '../../src/testing/tokens.ts'
import { ROOT } from '../cli/process.ts'

export const BINARY = `${ROOT}dist/tidings`

/** The command line from its source, for what must hold without a build, too. */
export const FROM_SOURCE = [process.execPath, join(ROOT, 'src', 'main.ts')]

export interface BinaryOptions {
  /** What runs. Default: the binary. */
  readonly command?: readonly string[]
  /** `--workers`. It has started when all have. */
  readonly workers?: number
  readonly config?: ConfigInput
  /** The path of a file of handlers. */
  readonly app?: string
  /** Files to find in the working directory. */
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** The limit of open files. */
  readonly openFiles?: number
}

/** Starts `dist/tidings serve` in a folder of its own. It is killed at the end of the scope. */
export async function startBinary(options: BinaryOptions = {}) {
  const { command = [BINARY], workers, openFiles, app } = options
  if (command[0] === BINARY && !existsSync(BINARY)) throw new Error('there is no dist/tidings: bun run build makes it')
  const folder = mkdtempSync(join(tmpdir(), 'tidings-e2e-'))
  const secret = options.config?.auth?.secret ?? newSecret()
  const config = testConfig({ ...options.config, auth: { ...options.config?.auth, secret } })
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(config))
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(folder, name), text)
  const limited = openFiles === undefined ? [] : ['sh', '-c', 'ulimit -n "$0" && exec "$@"', String(openFiles)]
  const child = Bun.spawn(
    [
      ...[...limited, ...command, 'serve', '--config', 'settings.json'],
      ...(app === undefined ? [] : ['--app', app]),
      ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, TIDINGS_LOG_LEVEL: 'debug', ...options.env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  )
  const captured = new CapturedLog()
  const ended = Promise.all([
    gather(child.stdout, (text) => captured.add(text)),
    gather(child.stderr, (text) => captured.add(text)),
    child.exited,
  ])
  const died = ended.then(() => {
    throw new Error(`the server ended before it listened:\n${captured.text}`)
  })
  const started = await Promise.race([
    captured.logged(workers === undefined ? 'server_started' : 'workers_started'),
    died,
  ])
  died.catch(() => {})
  return {
    child,
    folder,
    secret,
    url: String(started['url']),
    lines: captured.lines,
    get output() {
      return captured.text
    },
    logged: (event: string, fields?: Readonly<Record<string, unknown>>) => captured.logged(event, fields),
    token: (who: Who) => tokenFor(secret, who),
    /** The exit code, once everything that was printed has been read. */
    async exited(): Promise<number> {
      await ended
      return child.exitCode ?? -1
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Hands on whole lines. */
async function gather(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const text = rest + decoder.decode(chunk, { stream: true })
    const end = text.lastIndexOf('\n') + 1
    rest = text.slice(end)
    if (end > 0) take(text.slice(0, end))
  }
  if (rest !== '') take(rest)
}
