/**
 * What goes over the bus: lines of a head, and for a message its frame as it is. Anybody who can reach this Redis can
 * publish on our channels, so what comes is read strictly; what is none of ours is counted and ignored.
 */
import type { Entry, Retention, StoredMessage } from '../../../core/ports/log.ts'
import { FORMAT } from '../keys.ts'
import { splitLines } from '../lines.ts'

/** A stored message, as it was told by the script that stored it. */
export interface Told {
  readonly kind: 'message'
  readonly epoch: string
  readonly message: StoredMessage
  /** The last cursor of the topic before this one; 0: none. */
  readonly previous: number
  readonly retention: Retention
}

/** A marker that has come round: everything published before it has come too. */
export interface Marker {
  readonly kind: 'marker'
  readonly epoch: string
  readonly name: string
  /** The highest cursor issued when it was sent. */
  readonly last: number
  /** Since when the log was complete then. */
  readonly since: number
}

const CURSOR = /^\d{1,16}$/
const NAME = /^[A-Za-z0-9_-]{1,32}$/
/** Lines of a message's head, and of a marker. */
const MESSAGE_LINES = 7
const MARKER_LINES = 6

/** What the bus tells of a message beside its cursor and body, made by the instance that publishes it. */
export function formatDetails({ id, device, origin, retention }: Entry): string {
  return JSON.stringify([id, device ?? null, origin ?? null, retention.maxMessages, retention.maxAgeMs])
}

/** Reads what came on a topic's channel. */
export function parseTold(topic: string, text: string): Told | undefined {
  const [format, kind, epoch = '', cursor = '', previous = '', at = '', details = '', body] = splitLines(
    text,
    MESSAGE_LINES,
  )
  if (format !== FORMAT || kind !== 'm' || body === undefined || !NAME.test(epoch)) return undefined
  if (!CURSOR.test(cursor) || !CURSOR.test(previous) || !/^\d{1,16}(\.\d+)?$/.test(at)) return undefined
  const known = parseDetails(details)
  if (known === undefined) return undefined
  const { id, device, origin, retention } = known
  const message = { cursor: Number(cursor), topic, device, id, body, at: Number(at), origin }
  return { kind: 'message', epoch, message, previous: Number(previous), retention }
}

/** Reads what came on the instance's own channel. */
export function parseMarker(text: string): Marker | undefined {
  const [format, kind, epoch = '', name = '', last = '', since = '', more] = splitLines(text, MARKER_LINES)
  if (format !== FORMAT || kind !== 'M' || more !== undefined) return undefined
  if (!NAME.test(epoch) || !NAME.test(name) || !CURSOR.test(last) || !CURSOR.test(since)) return undefined
  return { kind: 'marker', epoch, name, last: Number(last), since: Number(since) }
}

function parseDetails(text: string) {
  let details: unknown
  try {
    details = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(details) || details.length !== 5) return undefined
  const [id, device, origin, maxMessages, maxAgeMs] = details as unknown[]
  if (typeof id !== 'string' || !isText(device) || !isText(origin)) return undefined
  if (typeof maxMessages !== 'number' || typeof maxAgeMs !== 'number') return undefined
  return { id, device: device ?? undefined, origin: origin ?? undefined, retention: { maxMessages, maxAgeMs } }
}

function isText(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
