/** The compiled server as a child process that can be killed and started again: same address, same store, same secret. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigInput, newSecret } from '../../src/config.ts'
import { testConfig } from '../../src/testing/server.ts'
import { tokenFor, type Who } from '../../src/testing/tokens.ts'
import { BINARY } from '../support/binary.ts'
import { until } from '../support/until.ts'

export interface ServerOptions {
  readonly config?: ConfigInput
  /** The text of a file of handlers. */
  readonly app?: string
  readonly env?: Readonly<Record<string, string>>
  /** A command in whose place the binary is started, with its path and arguments at the end. */
  readonly under?: readonly string[]
  /** The folder of the store and the settings. Default: one of its own, removed at the end. */
  readonly folder?: string
  /** What several instances of one deployment share. Default: keys of its own. */
  readonly keys?: ServerKeys
}

export interface ServerKeys {
  /** Signs tokens. */
  readonly secret: string
  readonly adminKey: string
}

export function newKeys(): ServerKeys {
  return { secret: newSecret(), adminKey: newSecret() }
}

/** Which binary is tried. Another one than the build's can be named, to try a released one. */
const TRIED = process.env['TIDINGS_BINARY'] ?? BINARY

/** Nothing that a fault is not about gets in its way. */
const UNLIMITED: ConfigInput = {
  limits: { per_user: 0, per_ip: 0, connects_per_second: 0, messages_per_second: 0, bytes_per_second: 0 },
  rooms: [{ pattern: '*', history: { max_messages: 100_000, max_age: '1h' } }],
}

export class FaultServer implements AsyncDisposable {
  readonly url: string
  readonly folder: string
  /** Lines of the log that are warnings and errors. */
  readonly complaints: string[] = []
  private readonly options: ServerOptions
  private readonly keys: ServerKeys
  private child: Bun.Subprocess | undefined

  private constructor(port: number, options: ServerOptions) {
    this.url = `http://127.0.0.1:${port}`
    this.options = options
    this.keys = options.keys ?? newKeys()
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tidings-fault-'))
    const { config = {} } = options
    const settings = testConfig({
      ...UNLIMITED,
      ...config,
      server: { port, ...config.server },
      auth: { ...config.auth, secret: this.keys.secret },
      admin: { keys: [this.keys.adminKey], ...config.admin },
      store: { path: this.storePath, ...config.store },
      limits: { ...UNLIMITED.limits, ...config.limits },
    })
    writeFileSync(join(this.folder, 'settings.json'), JSON.stringify(settings))
    if (options.app !== undefined) writeFileSync(join(this.folder, 'app.ts'), options.app)
  }

  static async start(options: ServerOptions = {}): Promise<FaultServer> {
    if (!existsSync(TRIED)) throw new Error(`there is no ${TRIED}: bun run build makes it`)
    const server = new FaultServer(await freePort(), options)
    await server.start()
    return server
  }

  get storePath(): string {
    return join(this.folder, 'tidings.db')
  }

  get pid(): number {
    if (this.child === undefined) throw new Error('the server is not running')
    return this.child.pid
  }

  /** Starts the process and waits until it answers; rejects where it ends instead, with what it said. */
  async start(): Promise<void> {
    const { app, env, under = [] } = this.options
    const args = ['serve', '--config', 'settings.json', ...(app === undefined ? [] : ['--app', 'app.ts'])]
    const child = Bun.spawn([...under, TRIED, ...args], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], TIDINGS_LOG_LEVEL: 'warn', TIDINGS_LOG_FORMAT: 'json', ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    this.child = child
    void this.listen(child.stdout)
    void this.listen(child.stderr)
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${this.complaints.join('\n')}`)
      return await fetch(`${this.url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
    })
  }

  /** SIGKILL: nothing is said, nothing is written any more. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.child?.exited
    this.child = undefined
  }

  /** SIGTERM, and waits for the end. @returns the exit code. */
  async stop(): Promise<number> {
    const { child } = this
    child?.kill('SIGTERM')
    this.child = undefined
    return (await child?.exited) ?? 0
  }

  /** Stops the whole process where it stands (SIGSTOP), or lets it go on. */
  freeze(still: boolean): void {
    process.kill(this.pid, still ? 'SIGSTOP' : 'SIGCONT')
  }

  token(who: Who): Promise<string> {
    return tokenFor(this.keys.secret, who)
  }

  /** Asks an admin's route. */
  async admin(path: string, init: { method?: string; body?: unknown } = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method: init.method ?? 'GET',
      headers: { authorization: `Bearer ${this.keys.adminKey}`, 'content-type': 'application/json' },
      ...(init.body !== undefined && { body: JSON.stringify(init.body) }),
    })
  }

  /** What the probe answers that says whether clients may connect. */
  async readiness(): Promise<'ready' | 'degraded' | 'draining'> {
    const { status } = (await (await fetch(`${this.url}/readyz`)).json()) as { status: 'ready' }
    return status
  }

  async status(): Promise<{ connections: number; users: number; rooms: number }> {
    return (await (await fetch(`${this.url}/api/websocket/status`)).json()) as never
  }

  /** Bytes of memory that the process has of its own. */
  memoryBytes(): number {
    const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(line?.[1]) * 1024
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    if (this.options.folder === undefined) rmSync(this.folder, { recursive: true, force: true })
  }

  private async listen(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      this.complaints.push(...lines.filter((line) => line !== ''))
    }
  }
}

/** A port that was free a moment ago: one that is kept over restarts has to be named. */
async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
