/** A real Redis for tests: on a free port, in a folder of its own, which can be killed, frozen and followed by a replica. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../support/ports.ts'

export interface RedisOptions {
  /** Further lines of configuration, as arguments: `['--appendonly', 'yes']`. */
  readonly args?: readonly string[]
  readonly replicaOf?: RedisServer
  /** The default user's. Absent: it needs none. */
  readonly password?: string
  /** It is a sentinel that watches this server, and alone decides that it is gone. */
  readonly watches?: RedisServer
}

const AGE = `
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, math.max(0, left - ARGV[2])) end
end
`

/** Nothing is saved unless a test wants it, and a replica gets its data at once. */
const ALONE = ['--save', '', '--repl-diskless-sync-delay', '0']

/** Milliseconds for a start: reading some data included, on a busy machine. */
const START_MS = 10_000

export class RedisServer implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  private readonly args: readonly string[]
  private process: ChildProcess | undefined
  private client: Redis | undefined

  private readonly password: string | undefined
  private readonly watches: RedisServer | undefined

  private constructor(
    port: number,
    args: readonly string[],
    password: string | undefined,
    watches: RedisServer | undefined,
  ) {
    this.watches = watches
    this.port = port
    this.password = password
    this.args = args
    this.folder = mkdtempSync(join(tmpdir(), 'tidings-redis-'))
  }

  /** @throws Error where no redis-server is installed: tests that need one must not pass without. */
  static async start({ args = [], replicaOf, password, watches }: RedisOptions = {}): Promise<RedisServer> {
    const following = replicaOf === undefined ? [] : ['--replicaof', `127.0.0.1 ${replicaOf.port}`]
    const guarded = password === undefined ? [] : ['--requirepass', password]
    const server = new RedisServer(await freePort(), [...args, ...following, ...guarded], password, watches)
    await server.run()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** A connection for the test itself, which comes back after the server did. */
  get admin(): Redis {
    this.client ??= connect(this.port, this.password)
    return this.client
  }

  /** Ends it as a crash does, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** Ends it as an operator does: what it has is saved, where it is set up to save anything. */
  async stop(): Promise<void> {
    await this.end('SIGTERM')
  }

  /** Starts it again, with the same data folder and port. */
  async run(): Promise<void> {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder]
    const child = spawn(
      'redis-server',
      this.watches === undefined ? [...place, ...ALONE, ...this.args] : this.sentinel(),
    )
    this.process = child
    let output = ''
    child.stdout?.on('data', (chunk) => {
      output = (output + chunk).slice(-4000)
    })
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error) => reject(new Error(`redis-server cannot be started: ${error.message}`)))
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${output}`)))
      answers(this.port, this.password).then(resolve, reject)
    })
  }

  /** Lets time pass for the keys with a prefix: what would have expired within it is gone. */
  async age(prefix: string, ms: number): Promise<void> {
    await this.admin.eval(AGE, 0, `${prefix}*`, ms)
  }

  /** Stops its time: connections stay open and nothing is answered. */
  freeze(): void {
    this.process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.process?.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client?.disconnect()
    this.thaw()
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A sentinel keeps what it learns in its configuration file. */
  private sentinel(): string[] {
    const file = join(this.folder, 'sentinel.conf')
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      `dir ${this.folder}`,
      `sentinel monitor main 127.0.0.1 ${this.watches?.port} 1`,
      'sentinel down-after-milliseconds main 300',
      'sentinel failover-timeout main 3000',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return [file, '--sentinel']
  }

  private async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.process
    this.process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }
}

function connect(port: number, password: string | undefined): Redis {
  const login = password === undefined ? {} : { password }
  const redis = new Redis({ ...login, host: '127.0.0.1', port, retryStrategy: () => 20, maxRetriesPerRequest: null })
  // It is there to be broken.
  redis.on('error', () => {})
  return redis
}

async function answers(port: number, password: string | undefined): Promise<void> {
  const redis = connect(port, password)
  try {
    await Promise.race([
      redis.ping(),
      new Promise((_, reject) => setTimeout(reject, START_MS, new Error('redis-server does not answer'))),
    ])
  } finally {
    redis.disconnect()
  }
}
