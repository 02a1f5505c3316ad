/** What went wrong in Redis, as an operator should read it and as a client may. */
import { ReplyError } from 'ioredis'
import { TidingsError } from '../../protocol/errors.ts'

/** When somebody whose message or question found no Redis should try again. */
const RETRY_MS = 1000

/** What Redis refuses a command with, by the first word of its answer. */
const REFUSALS: Readonly<Record<string, string>> = {
  OOM: 'Redis has no memory left: raise its maxmemory or keep less history',
  READONLY: 'Redis is a replica and takes no writes: name its primary in redis.url',
  MISCONF: 'Redis cannot save to its disk and takes no writes: see its log',
  NOREPLICAS: 'Redis has too few replicas and takes no writes: see its min-replicas-to-write',
  NOPERM: 'Redis does not allow this user a command, key or channel that the server needs: see its ACL',
  NOAUTH: 'Redis wants a password: name it in redis.url',
  WRONGPASS: 'Redis does not know the user or the password of redis.url',
  LOADING: 'Redis is still reading its data from the disk',
  MASTERDOWN: 'Redis is a replica that has lost its primary',
  BUSY: 'Redis is busy with a script',
}

/** Why Redis refused a command: nothing was done. Absent: no answer came, and whether it was done is not known. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof ReplyError ? explainRefusal(messageOf(error)) : undefined
}

/** An answer of Redis that is an error, in words for an operator. */
export function explainRefusal(text: string): string {
  return REFUSALS[wordOf(text)] ?? `Redis says: ${text}`
}

/** Whether an answer means that another server is the primary now. */
export function isDemoted(text: string): boolean {
  const word = wordOf(text)
  return word === 'READONLY' || word === 'MASTERDOWN'
}

/** Whether a command was refused that will be refused until somebody changes a password or a right. */
export function isForbidden(error: unknown): boolean {
  return error instanceof ReplyError && ['NOPERM', 'NOAUTH', 'WRONGPASS'].includes(wordOf(messageOf(error)))
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Why something failed, in words for an operator: what a client was told of it hides that. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof TidingsError ? (error.cause ?? error) : error
  return refusalOf(cause) ?? messageOf(cause)
}

/** What a client is told while Redis does not answer, or not as it should. */
export function unavailable(message: string, cause?: unknown): TidingsError {
  return new TidingsError('unavailable', message, { retryAfterMs: RETRY_MS, ...(cause !== undefined && { cause }) })
}

/** How a script is told that its user may not do something: by Redis, and by Valkey. */
const SCRIPT_FORBIDDEN = ["The user executing the script can't", 'ACL failure in script']

/** Scripts hand on what a command in them was refused with; some versions of Redis put a dash or `ERR` before it. */
function wordOf(text: string): string {
  if (SCRIPT_FORBIDDEN.some((words) => text.includes(words))) return 'NOPERM'
  return /^(?:-|ERR )?([A-Z]+)/.exec(text)?.[1] ?? ''
}
