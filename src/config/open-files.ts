import { readFileSync } from 'node:fs'

/** What most systems allow at least, for those that do not say. */
const USUAL_LIMIT = 1024
/** Stands for "unlimited", which no kernel means: Linux' own ceiling for one process. */
const HIGHEST_LIMIT = 1_048_576

/** How many files and sockets this process may have open (`ulimit -n`). */
export function openFilesLimit(readLimits = () => readFileSync('/proc/self/limits', 'utf8')): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readLimits())?.[1]
    if (soft === 'unlimited') return HIGHEST_LIMIT
    return soft && /^\d+$/.test(soft) ? Number(soft) : USUAL_LIMIT
  } catch {
    return USUAL_LIMIT
  }
}
