/** The first moments of a session: the application's hook, its rooms, `welcome`, what it has missed, what is live. */

import type { Config } from '../config.ts'
import { formatCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRoomName } from '../protocol/names.ts'
import type { Application } from './application.ts'
import type { CatchUp, Plan, Source } from './catch-up.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import type { Inbox, InboxStart } from './inbox.ts'
import { announcedLimits } from './limits.ts'
import type { DeliveryLine } from './line.ts'
import type { Listing } from './listing.ts'
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
  readonly former: Former | undefined
}

/** A connection that the client goes on with. */
export interface Former {
  readonly connectionId: string
  readonly kept: Kept
  /** The instance that had it; absent: this one. */
  readonly instance: string | undefined
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
  readonly listing: Pick<Listing, 'write'>
  /** Tells a client what failed and writes it down; the connection goes on. */
  fail(session: Session, error: TidingsError, frameId: undefined): void
}

/** Room names that one address may carry: more than `limits.max_rooms` would be refused one by one. */
const MAX_NAMED_ROOMS = 1000

/**
 * Reads `?rooms=a,b`.
 * @throws TidingsError `invalid_message` where there are too many to answer for each.
 */
export function parseRoomList(text: string | null): string[] {
  if (text === null || text === '') return []
  const names = new Set(text.split(','))
  if (names.size <= MAX_NAMED_ROOMS) return [...names]
  const details = { field: 'rooms', max_rooms: MAX_NAMED_ROOMS }
  throw new TidingsError('invalid_message', `At most ${MAX_NAMED_ROOMS} rooms can be named, not ${names.size}`, {
    details,
  })
}

/**
 * Opens a registered session: `welcome`, what it has missed, and then what is live, each in the turn that ends the one
 * before. Frames that the client sends before `welcome` wait.
 */
export async function openSession(hub: OpeningHub, session: Session, start: Start): Promise<void> {
  const kept = start.former?.kept
  const wanted = new Set([...(kept?.rooms.map(({ room }) => room) ?? []), ...start.rooms])
  if (kept?.metadata !== undefined) session.metadata = { ...kept.metadata, ...session.metadata }
  await askApplication(hub, session, wanted)
  const outcomes = await enterAll(hub, session, hub.rooms.remaining(session, [...wanted]))
  // Not after `welcome`: its client may ask another instance about it at once. What is asked of the store below is answered later.
  void hub.listing.write(session)
  let sources: Source[]
  let plan: Plan
  try {
    const inbox = start.cursor === undefined ? await hub.inbox.startOf(session) : undefined
    sources = sourcesOf(hub, inbox, start, outcomes)
    plan = await hub.catchUp.plan(session, sources)
    hub.catchUp.begin(session, plan)
    await hub.inbox.begin(session, start.cursor, inbox)
  } catch (error) {
    // Nobody would take a session that is refused out of rooms to which it is not subscribed.
    for (const outcome of outcomes) if ('entry' in outcome) hub.rooms.abandon(session, outcome.entry)
    throw error
  }
  // Whoever fetches reads the log by itself, and needs no gate.
  const isBehind = session.fetching === undefined && (plan.replayed > 0 || plan.position < hub.line.delivered)
  if (isBehind && !session.closed) hub.catchUp.gate(session, plan.position)
  const position = hub.catchUp.positionOf(session)
  // Where a replay begins the room was joined: whoever is cut in the middle of it comes back for the rest. A cursor from the
  // future would hide from it everything until then.
  const sinceOf = (name: string) =>
    Math.min(sources.find(({ room }) => room === name)?.from ?? Number.POSITIVE_INFINITY, hub.line.delivered)
  const joined = outcomes.flatMap((outcome): Joined[] =>
    'entry' in outcome ? [{ entry: outcome.entry, since: sinceOf(outcome.room) }] : [],
  )
  if (!session.closed) welcome(hub, session, joined, plan, position, start)
  for (const { entry, since } of joined) hub.rooms.subscribe(session, entry, since)
  if (session.closed) return
  for (const outcome of outcomes) if ('error' in outcome) sayRefused(hub, session, outcome.room, outcome.error)
  hub.delivery.attach(session)
  // A server that began to leave meanwhile has said so of everybody.
  if (session.state === 'connecting') session.state = 'open'
  if (isBehind) hub.catchUp.run(session, plan, () => {})
}

/** What the session is read before it goes live: its inbox, and the rooms that keep history if it brought a position. */
function sourcesOf(
  hub: OpeningHub,
  inbox: InboxStart | undefined,
  { cursor, former }: Start,
  outcomes: readonly Outcome[],
): Source[] {
  const sources: Source[] = []
  const from = cursor ?? inbox?.cursor
  if (hub.config.inbox.max_messages > 0 && from !== undefined) {
    sources.push({ room: undefined, from, judged: inbox?.known ?? true })
  }
  if (cursor === undefined) return sources
  for (const outcome of outcomes) {
    if (!('entry' in outcome) || outcome.entry.room.rule.history.maxMessages === 0) continue
    const since = former?.kept.rooms.find(({ room }) => room === outcome.room)?.since ?? 0
    sources.push({ room: outcome.room, from: Math.max(cursor, since), judged: true })
  }
  return sources
}

/** A room that a session has entered, and the position from which on its messages are for it. */
interface Joined {
  readonly entry: Entry
  readonly since: number
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
  joined: readonly Joined[],
  plan: Plan,
  position: number,
  { cursor: brought, former }: Start,
): void {
  const { config, clock } = hub
  const cursor = formatCursor(position)
  const rooms = joined.map(({ entry, since }) => ({
    room: entry.room.name,
    participant_count: hub.rooms.participants(session, entry),
    cursor: formatCursor(Math.max(position, since)),
  }))
  session.toldPosition = position
  const timestamp = toTimestamp(clock.now())
  const { replayed, gaps } = plan
  // Without a cursor only the inbox goes on: that of the rooms nothing is missing cannot be said.
  const recovered = brought !== undefined && plan.recovered
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
      resume: { session: former !== undefined, recovered, replayed, gaps },
    },
    cursor,
    timestamp,
  })
}

function sayRefused(hub: OpeningHub, session: Session, room: string, error: TidingsError): void {
  // A name outside the grammar is not repeated: it may be anything.
  const details = { ...error.details, ...(isRoomName(room) && { room }) }
  hub.fail(session, new TidingsError(error.errorName, error.message, { details, cause: error.cause }), undefined)
}
