/**
 * Whether the log is, at a start, what the last run left: then positions from before are still good. A tail that a power
 * cut ate, or a backup that was put in the file's place, would otherwise be a silent hole.
 */
import type { RunFacts } from './facts.ts'

/** What is found at a start, beside what the database says of itself. */
export interface Found {
  /** The run that the file beside the database names; empty: none. A restored backup does not know the last run. */
  readonly witnessRun: string
  /** The database file's {@link fingerprint} after the last clean end; empty: the last run did not end cleanly. */
  readonly witnessFile: string
  /** The fingerprint now. */
  readonly fingerprint: string
  /** `device:inode` now. */
  readonly file: string
  readonly boot: string
  /** Whether the write-ahead log is there, with something in it: a run that was killed leaves one. */
  readonly hasWal: boolean
}

/** Why positions from before this start are no longer good; absent: they are. */
export function brokenBy(left: RunFacts, found: Found): string | undefined {
  if (left.run !== found.witnessRun) return 'the store is not the one of the last run'
  if (left.clean === 1) {
    return found.witnessFile === found.fingerprint ? undefined : 'the store was changed after the last run'
  }
  if (!found.hasWal) return 'the write-ahead log of the last run is missing'
  const sameBoot = left.boot !== '' && left.boot === found.boot
  if (sameBoot) return left.file === found.file ? undefined : 'the store was replaced after the last run'
  if (left.durability !== 'full') return 'the machine stopped while the store was open'
  return inode(left.file) === inode(found.file) ? undefined : 'the store was replaced after the last run'
}

/** Device numbers may change from one boot to the next. */
function inode(file: string): string | undefined {
  return file.split(':')[1]
}
