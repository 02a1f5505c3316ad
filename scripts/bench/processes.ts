/** The processes of a run: a server on one core, the load on another. */

import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import type { Measured } from './case.ts'
import type { Task } from './load.ts'
import type { Templates } from './templates.ts'
import { LOAD_CORE, PINNED, SERVER_CORE } from './usage.ts'

const HERE = import.meta.dir
export const ROOT = join(HERE, '..', '..')

const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000
/** No run of a case lasts as long. */
const RUN_TIMEOUT_MS = 180_000

/** What is lifted: every limit that would refuse what the load does on purpose, from one address. */
export const LIFTED = [
  '--limits.per_user=0',
  '--limits.per_ip=0',
  '--limits.connects_per_second=0',
  '--limits.messages_per_second=0',
  '--limits.bytes_per_second=0',
]

export interface Server extends AsyncDisposable {
  readonly port: number
  readonly pid: number
}

export function startBaseline(templates: Templates): Promise<Server> {
  const port = freePort()
  const settings = JSON.stringify({ port, templates })
  return started('the baseline', [process.execPath, join(HERE, 'baseline.ts'), settings], port, '/', {})
}

/** `command`: the binary, or Bun and the entry file. */
export function startTidings(command: string[], secret: string, flags: string[] = []): Promise<Server> {
  const port = freePort()
  const args = [...command, 'serve', '--server.host=127.0.0.1', `--server.port=${port}`, ...LIFTED, ...flags]
  return started('Tidings', args, port, '/readyz', { TIDINGS_AUTH_SECRET: secret })
}

/** Runs a case's load to its end and gives what it measured. Throws with what it said where it failed. */
export async function runLoad(task: Task): Promise<Measured> {
  const child = Bun.spawn(pinned(LOAD_CORE, [process.execPath, join(HERE, 'load-process.ts'), JSON.stringify(task)]), {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: RUN_TIMEOUT_MS,
  })
  const [output, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(complaint.trim().slice(-2000) || 'the load process was ended')
  return JSON.parse(output) as Measured
}

async function started(
  name: string,
  command: string[],
  port: number,
  probe: string,
  env: Record<string, string>,
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'))
  const log = join(folder, 'server.log')
  const out = openSync(log, 'a')
  const child = Bun.spawn(pinned(SERVER_CORE, command), {
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
    await answering(`http://127.0.0.1:${port}${probe}`, child)
    return server
  } catch (error) {
    const said = readFileSync(log, 'utf8').trim().slice(-2000)
    await server[Symbol.asyncDispose]()
    throw new Error(`${name} did not start (${error}); it said: ${said || 'nothing'}`)
  }
}

async function answering(url: string, child: Subprocess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`)
    const response = await fetch(url, { keepalive: false }).catch(() => undefined)
    if (response?.ok) return
    await Bun.sleep(20)
  }
  throw new Error(`no answer on ${url} within ${START_TIMEOUT_MS} ms`)
}

/** The load is gone by now: nobody is left to be drained for. */
async function stopped(child: Subprocess): Promise<void> {
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await child.exited
  clearTimeout(forced)
}

/** `taskset` replaces itself by the command, so the process id is the command's. */
function pinned(core: number, command: string[]): string[] {
  return PINNED ? ['taskset', '--cpu-list', String(core), ...command] : command
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}
