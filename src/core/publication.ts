/** What is published, for whom, and what its publisher learns. */
import { TidingsError } from '../protocol/errors.ts'
import { parseTarget, type Sender, type Target } from '../protocol/frames.ts'
import type { Session } from './session.ts'

/** A target in which a device names its user. */
export type Recipient = Exclude<Target, { kind: 'device' }> | { kind: 'device'; userId: string; deviceId: string }

/** Whom a publication is for, as on the wire. */
export type To = { room: string } | { user_id: string } | { user_id: string; device_id: string } | 'all'

/** @throws TidingsError `invalid_message` where a name is none, or a device stands without its user. */
export function recipientOf(to: To): Recipient {
  const target = parseTarget(to)
  if (target.kind !== 'device') return target
  if (target.userId === undefined) throw new TidingsError('invalid_message', 'A device is named together with its user')
  return { kind: 'device', userId: target.userId, deviceId: target.deviceId }
}

export interface Publication {
  readonly to: Recipient
  readonly type: string
  readonly payload: unknown
  /** Absent on what backends and handlers send. */
  readonly sender?: Sender | undefined
  /** The connection that gets no copy. */
  readonly except?: Session | undefined
  /** Wants an answer of each recipient, under this id, for so long. Such an event is for who is there: it is not stored. */
  readonly ask?: { readonly id: string; readonly timeoutMs: number } | undefined
  /** To whoever is connected now, never stored. */
  readonly ephemeral?: boolean | undefined
  /** Within a scope a key stores one message, however often it is tried, also after a restart. */
  readonly idempotency?: { readonly scope: string; readonly key: string } | undefined
}

/** What a publisher learns. */
export interface Published {
  readonly id: string
  /** Of a stored message. It names the message and is no position. */
  readonly cursor?: string
  /** The recipients' connections at that moment, without the publisher's own. */
  readonly online: number
}
