/** The processes of a run: a server on one core, the load on another; the parts of a cluster and its load on any. */

import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import type { Endpoint, Measured } from './case.ts'
import type { Task } from './load.ts'
import type { Templates } from './templates.ts'
import { LOAD_CORE, PINNED, SERVER_CORE } from './usage.ts'

const HERE = import.meta.dir
export const ROOT = join(HERE, '..', '..')

const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000
/** No run of a case lasts as long. */
const RUN_TIMEOUT_MS = 300_000

/** What is lifted: every limit that would refuse what the load does on purpose, from one address. */
export const LIFTED = [
  '--limits.per_user=0',
  '--limits.per_ip=0',
  '--limits.connects_per_second=0',
  '--limits.messages_per_second=0',
  '--limits.bytes_per_second=0',
]

export interface Server extends Endpoint, AsyncDisposable {}

export function startBaseline(templates: Templates): Promise<Server> {
  const port = freePort()
  const settings = JSON.stringify({ port, templates })
  const command = [process.execPath, join(HERE, 'baseline.ts'), settings]
  return started({ name: 'the baseline', command, port, core: SERVER_CORE, answers: overHttp('/') })
}

/**
 * @param command the binary, or Bun and the entry file.
 * @param core the core to run on; absent: any.
 */
export function startTidings(command: string[], secret: string, flags: string[], core?: number): Promise<Server> {
  const port = freePort()
  return started({
    name: 'Tidings',
    command: [...command, 'serve', '--server.host=127.0.0.1', `--server.port=${port}`, ...LIFTED, ...flags],
    port,
    core,
    env: { TIDINGS_AUTH_SECRET: secret },
    answers: overHttp('/readyz'),
  })
}

/** A Redis of its own, on any core, that saves nothing. */
export function startRedis(): Promise<Server> {
  const port = freePort()
  const command = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  return started({ name: 'Redis', command, port, answers: overRedis })
}

/** Runs a case's load to its end and gives what it measured. Throws with what it said where it failed. */
export async function runLoad(task: Task): Promise<Measured> {
  const command = [process.execPath, join(HERE, 'load-process.ts'), JSON.stringify(task)]
  // What shares its cores with the load anyway is not helped by a load that cannot get out of the way.
  const core = task.cores.includes(LOAD_CORE) ? undefined : LOAD_CORE
  const child = Bun.spawn(pinned(core, command), {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: RUN_TIMEOUT_MS,
  })
  const [output, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(complaint.trim().slice(-2000) || 'the load process was ended')
  return JSON.parse(output) as Measured
}

interface Start {
  /** What it is called where it does not start. */
  readonly name: string
  readonly command: string[]
  readonly port: number
  /** Absent: any. */
  readonly core?: number | undefined
  readonly env?: Record<string, string>
  /** Whether it answers on its port. */
  readonly answers: (port: number) => Promise<boolean>
}

async function started({ name, command, port, core, env, answers }: Start): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'))
  const log = join(folder, 'server.log')
  const out = openSync(log, 'a')
  const child = Bun.spawn(pinned(core, command), {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdin: 'ignore',
    stdout: out,
    stderr: out,
  })
  const server: Server = {
    port,
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      await stopped(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await answering(() => answers(port), child)
    return server
  } catch (error) {
    const said = readFileSync(log, 'utf8').trim().slice(-2000)
    await server[Symbol.asyncDispose]()
    throw new Error(`${name} did not start (${error}); it said: ${said || 'nothing'}`)
  }
}

async function answering(answers: () => Promise<boolean>, child: Subprocess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`)
    if (await answers()) return
    await Bun.sleep(20)
  }
  throw new Error(`no answer within ${START_TIMEOUT_MS} ms`)
}

function overHttp(path: string): (port: number) => Promise<boolean> {
  return async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false }).catch(() => undefined)
    return response?.ok === true
  }
}

async function overRedis(port: number): Promise<boolean> {
  const redis = new Bun.RedisClient(`redis://127.0.0.1:${port}`, { autoReconnect: false })
  try {
    return (await redis.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    redis.close()
  }
}

/** The load is gone by now: nobody is left to be drained for. */
async function stopped(child: Subprocess): Promise<void> {
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await child.exited
  clearTimeout(forced)
}

/** `taskset` replaces itself by the command, so the process id is the command's. */
function pinned(core: number | undefined, command: string[]): string[] {
  return PINNED && core !== undefined ? ['taskset', '--cpu-list', String(core), ...command] : command
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}
