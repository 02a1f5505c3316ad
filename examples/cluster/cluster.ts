/**
 * Three instances on one Redis, behind nginx and behind HAProxy, all on this machine. `start` beside it installs what it
 * needs and hands over. What they write and say is in a temporary folder, which is gone afterwards.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const { NGINX_PORT = '3000', HAPROXY_PORT = '3001', REDIS_PORT = '3079', STICKY_COOKIE } = process.env
const INSTANCE_PORTS = (process.env.INSTANCE_PORTS ?? '3011,3012,3013').split(',')
if (INSTANCE_PORTS.length !== 3) throw new Error('INSTANCE_PORTS names three ports, as 3011,3012,3013')

const here = import.meta.dirname
const root = join(here, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tidings-cluster-'))
/** The binary, or a server from its source. */
const tidings = process.env.TIDINGS ? [resolve(process.env.TIDINGS)] : [process.execPath, join(root, 'src/main.ts')]
const secret = process.env.TIDINGS_AUTH_SECRET ?? newKey()
const adminKey = process.env.TIDINGS_ADMIN_KEYS?.split(',')[0] ?? newKey()
const running = new Map<string, ChildProcess>()
let stopping: Promise<void> | undefined

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The second time nobody waits for clients any more.
    if (stopping !== undefined) for (const child of running.values()) child.kill('SIGTERM')
    void stop(0)
  })
}
// HAProxy takes an empty one for a name.
if (!STICKY_COOKIE) delete process.env.STICKY_COOKIE

try {
  // nginx' workers belong to another user where it is started by root.
  chmodSync(folder, 0o711)
  mkdirSync(join(folder, 'redis'), { mode: 0o700 })
  run('redis', ['redis-server', join(here, 'redis.conf')], {
    args: ['--port', REDIS_PORT, '--bind', '127.0.0.1', '--dir', join(folder, 'redis')],
  })
  for (const [index, port] of INSTANCE_PORTS.entries()) {
    run(`instance-${index + 1}`, [...tidings, 'serve', '--config', join(here, 'tidings.toml')], {
      args: ['--server.host=127.0.0.1', `--port=${port}`],
      env: {
        TIDINGS_AUTH_SECRET: secret,
        TIDINGS_ADMIN_KEYS: adminKey,
        TIDINGS_REDIS_URL: `redis://127.0.0.1:${REDIS_PORT}`,
        ...(STICKY_COOKIE && { TIDINGS_CLUSTER_STICKY_COOKIE: STICKY_COOKIE }),
      },
    })
  }
  await Promise.all(INSTANCE_PORTS.map((port, index) => ready(`instance-${index + 1}`, port)))

  const instances = Object.fromEntries(
    INSTANCE_PORTS.map((port, index) => [`INSTANCE_${index + 1}`, `127.0.0.1:${port}`]),
  )
  const nginx = { ...instances, NGINX_LISTEN: `127.0.0.1:${NGINX_PORT}` }
  const haproxy = { ...instances, HAPROXY_LISTEN: `127.0.0.1:${HAPROXY_PORT}` }
  copyFileSync(join(here, 'nginx.conf'), join(folder, 'nginx.conf'))
  writeFileSync(join(folder, 'tidings.conf'), filled(readFileSync(join(here, 'tidings.conf.template'), 'utf8'), nginx))
  run('nginx', ['nginx', '-e', 'stderr', '-p', `${folder}/`, '-c', join(folder, 'nginx.conf')])
  run('haproxy', ['haproxy', '-db', '-f', join(here, 'haproxy.cfg')], {
    env: haproxy,
  })
  await Promise.all([ready('nginx', NGINX_PORT), ready('haproxy', HAPROXY_PORT)])
  if (stopping === undefined) tell()
} catch (error) {
  if (stopping === undefined) console.error(String(error instanceof Error ? error.message : error))
  await stop(1)
}

/** Starts a program in a session of its own: Ctrl+C reaches this script alone, which ends everything in its order. */
function run(
  name: string,
  [program = '', ...fixed]: readonly string[],
  { args = [], env = {} }: { args?: readonly string[]; env?: Record<string, string> } = {},
): void {
  const log = openSync(logOf(name), 'a')
  const child = spawn(program, [...fixed, ...args], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  })
  running.set(name, child)
  const ended = (how: unknown): void => {
    running.delete(name)
    if (stopping === undefined) console.log(`${name} has ended (${how}):\n${lastLines(name)}`)
  }
  child.once('error', (error) => ended(error.message))
  child.once('exit', (code, signal) => ended(signal ?? code))
}

/** Resolves when a port answers that clients may come. */
async function ready(name: string, port: string): Promise<void> {
  while (stopping === undefined) {
    if (!running.has(name)) throw new Error(`${name} did not start.`)
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function stop(code: number): Promise<void> {
  stopping ??= (async () => {
    // Instances say goodbye to their clients through the load balancers, and to each other through Redis.
    await Promise.all([...running.keys()].filter((name) => name.startsWith('instance-')).map(end))
    await Promise.all([...running.keys()].map(end))
    rmSync(folder, { recursive: true })
    process.exit(code)
  })()
  return stopping
}

function end(name: string): Promise<unknown> {
  const child = running.get(name)
  if (child === undefined) return Promise.resolve()
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return ended
}

function tell(): void {
  const processOf = (name: string): string => `process ${running.get(name)?.pid}`
  const row = (name: string, ...rest: string[]): string => `  ${name.padEnd(12)}${rest.join('   ')}`
  console.log(
    [
      'A cluster of three instances',
      '',
      row('nginx', `http://127.0.0.1:${NGINX_PORT}`, 'round-robin'),
      row(
        'HAProxy',
        `http://127.0.0.1:${HAPROXY_PORT}`,
        STICKY_COOKIE ? `by the cookie ${STICKY_COOKIE}` : 'round-robin',
      ),
      ...INSTANCE_PORTS.map((port, index) =>
        row(`instance-${index + 1}`, `http://127.0.0.1:${port}`, processOf(`instance-${index + 1}`)),
      ),
      row('Redis', `redis://127.0.0.1:${REDIS_PORT}`, processOf('redis')),
      row('logs', folder),
      '',
      'Talk to yourself from two terminals, in the folder of the repository:',
      ...['alice', 'bob'].map(
        (user) =>
          `REALTIME_URL=ws://127.0.0.1:${NGINX_PORT}/realtime TOKEN=${tokenOf(user)} node_modules/.bin/bun examples/chat.ts meeting:1`,
      ),
      '',
      'Publish as a backend does:',
      `SERVER=http://127.0.0.1:${NGINX_PORT} KEY=${adminKey} node_modules/.bin/bun examples/publish.ts alice 7`,
      '',
      'Ctrl+C ends everything.',
    ].join('\n'),
  )
}

function tokenOf(user: string): string {
  const [program = '', ...args] = [...tidings, 'token', '--user', user]
  const { stdout } = spawnSync(program, args, { env: { ...process.env, TIDINGS_AUTH_SECRET: secret } })
  return stdout.toString().trim()
}

function logOf(name: string): string {
  return join(folder, `${name}.log`)
}

function lastLines(name: string): string {
  return readFileSync(logOf(name), 'utf8').trimEnd().split('\n').slice(-5).join('\n')
}

function filled(template: string, values: Record<string, string>): string {
  return template.replace(/\$\{([A-Z_0-9]+)\}/g, (whole, name) => values[name] ?? whole)
}

function newKey(): string {
  return randomBytes(32).toString('base64url')
}
