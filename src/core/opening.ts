/** The first moments of a session: the application's hook, its rooms, `welcome`, and only then what is live. */

import type { Config } from '../config.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRoomName } from '../protocol/names.ts'
import type { Application } from './application.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import { errorFrame } from './exchange.ts'
import { newCorrelationId } from './ids.ts'
import { announcedLimits } from './limits.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import type { Entry, Rooms } from './rooms.ts'
import type { Session } from './session.ts'

/** What the opening of a session needs of the hub. */
export interface OpeningHub {
  readonly config: Config
  readonly clock: Clock
  readonly application: Application
  readonly rooms: Rooms
  readonly delivery: Delivery
  position(): string
}

/** Room names that one address may carry: more than `limits.max_rooms` would be refused one by one. */
const MAX_NAMED_ROOMS = 1000

/** Reads `?rooms=a,b`. */
export function parseRoomList(text: string | null): string[] {
  if (text === null || text === '') return []
  return [...new Set(text.split(','))].slice(0, MAX_NAMED_ROOMS)
}

/**
 * Opens a registered session. Frames that the client sends meanwhile wait. Whatever the client is told first is sent before
 * the session is subscribed, in the same tick, so that nothing live overtakes it.
 */
export function openSession(hub: OpeningHub, session: Session, rooms: readonly string[]): MaybePromise<void> {
  const wanted = new Set(rooms)
  return whenReady(askApplication(hub, session, wanted), () =>
    whenReady(enterAll(hub, session, hub.rooms.remaining(session, [...wanted])), (outcomes) => {
      if (!session.closed) welcome(hub, session, outcomes)
      for (const outcome of outcomes) if ('entry' in outcome) hub.rooms.subscribe(session, outcome.entry)
      if (session.closed) return
      for (const outcome of outcomes) if ('error' in outcome) sayRefused(hub, session, outcome.room, outcome.error)
      hub.delivery.attach(session)
      session.state = 'open'
    }),
  )
}

type Outcome =
  | { readonly room: string; readonly entry: Entry }
  | { readonly room: string; readonly error: TidingsError }

function askApplication(hub: OpeningHub, session: Session, rooms: Set<string>): MaybePromise<unknown> {
  const hooks = hub.application.hooks.onConnect
  if (hooks.length === 0) return undefined
  const connecting = {
    session,
    join: (room: string) => void rooms.add(room),
    metadata: (values: Record<string, unknown>) => {
      session.metadata = { ...session.metadata, ...values }
    },
  }
  return (async () => {
    for (const hook of hooks) await hook(connecting)
  })()
}

/** Enters rooms one after the other, at once where the backend answers at once. */
function enterAll(hub: OpeningHub, session: Session, names: readonly string[]): MaybePromise<Outcome[]> {
  const outcomes: Outcome[] = []
  let count = 0
  const add = (outcome: Outcome) => {
    outcomes.push(outcome)
    if ('entry' in outcome) count++
  }
  const next = (index: number): MaybePromise<Outcome[]> => {
    for (let at = index; at < names.length; at++) {
      const room = names[at] as string
      const entered = enter(hub, session, room, count)
      if (entered instanceof Promise) {
        return entered.then((outcome) => {
          add(outcome)
          return next(at + 1)
        })
      }
      add(entered)
    }
    return outcomes
  }
  return next(0)
}

function enter(hub: OpeningHub, session: Session, room: string, before: number): MaybePromise<Outcome> {
  const refused = (error: unknown): Outcome => ({ room, error: TidingsError.from(error) })
  try {
    const entered = hub.rooms.enter(session, room, before)
    if (entered instanceof Promise) return entered.then((entry) => ({ room, entry }), refused)
    return { room, entry: entered }
  } catch (error) {
    return refused(error)
  }
}

function welcome(hub: OpeningHub, session: Session, outcomes: readonly Outcome[]): void {
  const { config, clock } = hub
  const position = hub.position()
  const rooms = outcomes.flatMap((outcome) =>
    'entry' in outcome
      ? [{ room: outcome.room, participant_count: outcome.entry.attendance.participants, cursor: position }]
      : [],
  )
  const timestamp = toTimestamp(clock.now())
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
      cursor: position,
      resume: { session: false, recovered: false, replayed: 0, gaps: [] },
    },
    cursor: position,
    timestamp,
  })
}

function sayRefused(hub: OpeningHub, session: Session, room: string, error: TidingsError): void {
  // A name outside the grammar is not repeated: it may be anything.
  const details = { ...error.details, ...(isRoomName(room) && { room }) }
  const named = new TidingsError(error.errorName, error.message, { details })
  session.send(errorFrame(named, newCorrelationId(), hub.clock))
}
