/** What tells one file, and one state of it, from another. */
import { readFileSync, statSync } from 'node:fs'

/** `device:inode`; empty where the file is missing. */
export function fileId(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`
}

/** Changes with every write to the file, also with one that sets back its times: the time of change is the system's own. */
export function fingerprint(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.ctimeNs}`
}

/** A name for the time since the machine started; empty where the system has none. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** The process that holds a lock on a file; absent where the system does not say. */
export function lockHolder(path: string): number | undefined {
  try {
    const { ino } = statSync(path, { bigint: true })
    // "1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF", see proc_locks(5). Opening the file to ask would, on closing it,
    // give up every lock that this process itself has on it.
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const [, , , mode, pid, where] = line.trim().split(/\s+/)
      if (mode === 'WRITE' && where?.endsWith(`:${ino}`) && Number(pid) > 0) return Number(pid)
    }
  } catch {
    return undefined
  }
  return undefined
}
