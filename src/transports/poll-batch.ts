/** One answer to a poll: what is stored and what is not, in the order in which it came, and not too much at once. */
import type { Batch } from '../core/catch-up.ts'
import { type Clock, toTimestamp } from '../core/clock.ts'
import { formatCursor } from '../protocol/cursor.ts'
import type { Encoding } from '../protocol/encoding.ts'

/** A frame that is stored nowhere, and waits for its client. */
export interface Waiting {
  /** Everything up to this cursor had been delivered when it came. */
  readonly after: number
  readonly data: string
}

export interface Taken {
  /** The position after what was taken. */
  readonly cursor: number
  readonly messages: string[]
  /** Stored messages among them. */
  readonly stored: number
  /** How many of those that wait are among them. */
  readonly waiting: number
}

/** Frames of one answer: a page that arrives in one piece on a phone, and is parsed before anybody notices. */
const MAX_MESSAGES = 250
/** Characters of one answer, past which no frame is added. */
const MAX_LENGTH = 256 * 1024

/**
 * Puts an answer together.
 * @param after the position before it.
 */
export function takeBatch(
  batch: Batch,
  after: number,
  waiting: readonly Waiting[],
  encoding: Encoding,
  clock: Clock,
): Taken {
  const messages: string[] = []
  let length = 0
  let stored = 0
  let taken = 0
  const isFull = () => messages.length >= MAX_MESSAGES || length >= MAX_LENGTH
  const add = (data: string) => {
    messages.push(data)
    length += data.length
  }
  /** Takes what came before a position; false where the answer is full. */
  const takeWaiting = (before: number): boolean => {
    for (let next = waiting[taken]; next !== undefined && next.after < before; next = waiting[taken]) {
      if (isFull()) return false
      add(next.data)
      taken++
    }
    return true
  }
  if (batch.gap !== undefined) {
    // What was said before, such as `welcome`, comes before.
    if (!takeWaiting(batch.gap.position + 1)) return { cursor: after, messages, stored, waiting: taken }
    add(gapFrame(batch.gap, after, encoding, clock))
  }
  let cursor = batch.gap?.position ?? after
  for (const message of batch.messages) {
    const at = message.cursor ?? 0
    if (!takeWaiting(at) || isFull()) return { cursor, messages, stored, waiting: taken }
    add(message.encode(encoding) as string)
    cursor = at
    stored++
  }
  // The batch may be a page of more: what came after its end has to wait for the next.
  if (takeWaiting(batch.cursor + 1)) cursor = batch.cursor
  return { cursor, messages, stored, waiting: taken }
}

/** Tells that something may be missing that the client could have fetched earlier. */
function gapFrame(
  { rooms, position }: NonNullable<Batch['gap']>,
  from: number,
  encoding: Encoding,
  clock: Clock,
): string {
  return encoding.encode({
    type: 'gap',
    payload: { ...(rooms && { rooms }), from: formatCursor(from), cursor: formatCursor(position) },
    timestamp: toTimestamp(clock.now()),
  }) as string
}
