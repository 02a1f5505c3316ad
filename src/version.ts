/** Which Tidings this is. A build writes both down; from source they are looked up. */

import { readFileSync } from 'node:fs'
import manifest from '../package.json' with { type: 'json' }

declare const TIDINGS_VERSION: string | undefined
declare const TIDINGS_COMMIT: string | undefined

export const VERSION: string = typeof TIDINGS_VERSION === 'string' ? TIDINGS_VERSION : manifest.version

/** Digits of a commit that are shown, as in builds. */
const COMMIT_DIGITS = 12

/** The commit it was built from, or the one that is checked out; `unknown` where there is neither. */
export function commit(): string {
  return typeof TIDINGS_COMMIT === 'string' ? TIDINGS_COMMIT : checkedOut()
}

/** Read, not asked of git: it may not be installed, and a process is slow to start. */
function checkedOut(): string {
  const git = (path: string): string => readFileSync(new URL(`../.git/${path}`, import.meta.url), 'utf8').trim()
  try {
    const head = git('HEAD')
    if (!head.startsWith('ref: ')) return head.slice(0, COMMIT_DIGITS)
    const name = head.slice('ref: '.length)
    try {
      return git(name).slice(0, COMMIT_DIGITS)
    } catch {
      // A branch that has been packed has no file of its own.
      const packed = git('packed-refs').split('\n')
      return packed.find((line) => line.endsWith(` ${name}`))?.slice(0, COMMIT_DIGITS) ?? 'unknown'
    }
  } catch {
    return 'unknown'
  }
}
