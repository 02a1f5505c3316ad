/** The first moments of a session: the application's hook, its rooms, `welcome`, what it has missed, what is live. */

import type { Config } from '../config.ts'
import { formatCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRoomName } from '../protocol/names.ts'
import type { Application } from './application.ts'
import type { CatchUp, Plan, Source } from './catch-up.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import { errorFrame } from './exchange.ts'
import { newCorrelationId } from './ids.ts'
import type { Inbox } from './inbox.ts'
import { announcedLimits } from './limits.ts'
import type { DeliveryLine } from './line.ts'
import type { Kept } from './resumable.ts'
import type { Entry, Rooms } from './rooms.ts'
import type { Session } from './session.ts'

/** How a client begins. */
export interface Start {
  /** The rooms it names. */
  readonly rooms: readonly string[]
  /** Its position; absent: its inbox goes on from what its device has acknowledged, and rooms start live. */
  readonly cursor: number | undefined
  /** What a former connection of it had. */
  readonly kept: Kept | undefined
}

/** What the opening of a session needs of the hub. */
export interface OpeningHub {
  readonly config: Config
  readonly clock: Clock
  readonly application: Application
  readonly rooms: Rooms
  readonly delivery: Delivery
  readonly catchUp: CatchUp
  readonly inbox: Inbox
  readonly line: DeliveryLine
}

/** Room names that one address may carry: more than `limits.max_rooms` would be refused one by one. */
const MAX_NAMED_ROOMS = 1000

/** Reads `?rooms=a,b`. */
export function parseRoomList(text: string | null): string[] {
  if (text === null || text === '') return []
  return [...new Set(text.split(','))].slice(0, MAX_NAMED_ROOMS)
}

/**
 * Opens a registered session: `welcome`, what it has missed, and then what is live, each in the turn that ends the one
 * before. Frames that the client sends before `welcome` wait.
 */
export async function openSession(hub: OpeningHub, session: Session, start: Start): Promise<void> {
  const { kept } = start
  const wanted = new Set([...(kept?.rooms.map(({ room }) => room) ?? []), ...start.rooms])
  if (kept?.metadata !== undefined) session.metadata = { ...kept.metadata, ...session.metadata }
  await askApplication(hub, session, wanted)
  const outcomes = await enterAll(hub, session, hub.rooms.remaining(session, [...wanted]))
  const plan = await hub.catchUp.plan(session, await sourcesOf(hub, session, start, outcomes))
  const isBehind = plan.replayed > 0 || plan.position < hub.line.delivered
  if (isBehind && !session.closed) hub.catchUp.gate(session, plan.position)
  const position = hub.catchUp.positionOf(session)
  if (!session.closed) welcome(hub, session, outcomes, plan, position, kept !== undefined)
  for (const outcome of outcomes)
    if ('entry' in outcome) hub.rooms.subscribe(session, outcome.entry, hub.line.delivered)
  if (session.closed) return
  for (const outcome of outcomes) if ('error' in outcome) sayRefused(hub, session, outcome.room, outcome.error)
  hub.delivery.attach(session)
  session.state = 'open'
  hub.inbox.begin(session, Math.min(plan.position, hub.line.delivered))
  if (isBehind) hub.catchUp.run(session, plan, () => {})
}

/** What the session is read before it goes live: its inbox, and the rooms that keep history if it brought a position. */
async function sourcesOf(
  hub: OpeningHub,
  session: Session,
  { cursor, kept }: Start,
  outcomes: readonly Outcome[],
): Promise<Source[]> {
  const sources: Source[] = []
  if (hub.config.inbox.max_messages > 0) {
    const from = cursor ?? (await hub.inbox.startOf(session))
    sources.push({ room: undefined, from, judged: cursor !== undefined })
  }
  if (cursor === undefined) return sources
  for (const outcome of outcomes) {
    if (!('entry' in outcome) || outcome.entry.room.rule.history.maxMessages === 0) continue
    const since = kept?.rooms.find(({ room }) => room === outcome.room)?.since ?? 0
    sources.push({ room: outcome.room, from: Math.max(cursor, since), judged: true })
  }
  return sources
}

type Outcome =
  | { readonly room: string; readonly entry: Entry }
  | { readonly room: string; readonly error: TidingsError }

async function askApplication(hub: OpeningHub, session: Session, rooms: Set<string>): Promise<void> {
  const hooks = hub.application.hooks.onConnect
  if (hooks.length === 0) return
  const connecting = {
    session,
    join: (room: string) => void rooms.add(room),
    metadata: (values: Record<string, unknown>) => {
      session.metadata = { ...session.metadata, ...values }
    },
  }
  for (const hook of hooks) await hook(connecting)
}

/** Enters rooms one after the other. */
async function enterAll(hub: OpeningHub, session: Session, names: readonly string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let entered = 0
  for (const room of names) {
    const outcome = await enter(hub, session, room, entered)
    if ('entry' in outcome) entered++
    outcomes.push(outcome)
  }
  return outcomes
}

async function enter(hub: OpeningHub, session: Session, room: string, entered: number): Promise<Outcome> {
  try {
    return { room, entry: await hub.rooms.enter(session, room, entered) }
  } catch (error) {
    return { room, error: TidingsError.from(error) }
  }
}

function welcome(
  hub: OpeningHub,
  session: Session,
  outcomes: readonly Outcome[],
  plan: Plan,
  position: number,
  restored: boolean,
): void {
  const { config, clock } = hub
  const cursor = formatCursor(position)
  const rooms = outcomes.flatMap((outcome) =>
    'entry' in outcome
      ? [{ room: outcome.room, participant_count: outcome.entry.attendance.participants, cursor }]
      : [],
  )
  session.toldPosition = cursor
  const timestamp = toTimestamp(clock.now())
  const { recovered, replayed, gaps } = plan
  session.send({
    type: 'welcome',
    payload: {
      connection_id: session.connectionId,
      user_id: session.userId,
      device_id: session.deviceId,
      server_time: timestamp,
      heartbeat: { interval_ms: config.heartbeat.interval_ms, timeout_ms: config.heartbeat.timeout_ms },
      limits: announcedLimits(config),
      rooms,
      cursor,
      resume: { session: restored, recovered, replayed, gaps },
    },
    cursor,
    timestamp,
  })
}

function sayRefused(hub: OpeningHub, session: Session, room: string, error: TidingsError): void {
  // A name outside the grammar is not repeated: it may be anything.
  const details = { ...error.details, ...(isRoomName(room) && { room }) }
  const named = new TidingsError(error.errorName, error.message, { details })
  session.send(errorFrame(named, newCorrelationId(), hub.clock))
}
