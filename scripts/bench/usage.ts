/** What a process has used, as the kernel counts it. Linux only: the bench is. */

import { readdirSync, readFileSync } from 'node:fs'

export const SERVER_CORE = 0
export const LOAD_CORE = 1
/** Whether processes can be bound to a core each. */
export const PINNED = navigator.hardwareConcurrency > 1 && Bun.which('taskset') !== null

/** Clock ticks per second in /proc/<pid>/stat: 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100

/** Seconds of processor time of a process and all its threads, in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces: fields are counted from its end, where the third one begins.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Milliseconds of processor time of a process' threads that are there now, to the microsecond; see proc_pid_schedstat(5). */
export function processorMs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const [spent] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')
    return sum + Number(spent) / 1e6
  }, 0)
}

/** Seconds that a core has been busy, with whatever: its whole time but idle and waiting for a disk. */
export function busySeconds(core: number): number {
  const line = new RegExp(`^cpu${core} (.+)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))
  if (line?.[1] === undefined) throw new Error(`there is no core ${core}`)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line[1].split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}

/** Milliseconds for which a process' first thread could have run and others did; see proc_pid_schedstat(5). */
export function queuedMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
}

/** The processes that a process has started and that are there now. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim()
    return children === '' ? [] : children.split(' ').map(Number)
  })
}

/** Open files of a process, its connections among them. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Resident memory of a process in KiB. */
export function residentKiB(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (line === null) throw new Error(`process ${pid} shows no resident memory`)
  return Number(line[1])
}

/**
 * Resident memory of processes together, after garbage collection has had its chance: the lowest of the readings, once no
 * lower one has come for `quietMs`. The collector of an idle server works on timers of its own.
 */
export async function settledResidentKiB(pids: readonly number[], quietMs: number): Promise<number> {
  const read = (): number => pids.reduce((sum, pid) => sum + residentKiB(pid), 0)
  let lowest = read()
  let since = performance.now()
  while (performance.now() - since < quietMs) {
    await Bun.sleep(250)
    const now = read()
    if (now < lowest) {
      lowest = now
      since = performance.now()
    }
  }
  return lowest
}
