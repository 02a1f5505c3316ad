/** Reading to a session what it has missed, from the log, until it is level with what is delivered live. */
import { formatCursor } from '../protocol/cursor.ts'
import { CLOSE, TidingsError } from '../protocol/errors.ts'
import { type Clock, toTimestamp } from './clock.ts'
import type { Delivery } from './delivery.ts'
import type { Fetching } from './fetching.ts'
import { Gate } from './gate.ts'
import type { DeliveryLine } from './line.ts'
import { allReady, type MaybePromise, whenReady } from './maybe-promise.ts'
import type { Message } from './message.ts'
import { mergePages, PAGE, toPage } from './page.ts'
import type { MessageLog } from './ports/log.ts'
import { type Completeness, isRecoverable, isStillThere } from './recoverable.ts'
import type { Session } from './session.ts'
import { parseLogTopic, roomLog, userLog } from './stored-topics.ts'
import { Row, Tails } from './tails.ts'
import type { Turns } from './turns.ts'

/** Bytes that wait in the socket above which the next page waits too. */
const HIGH_WATER_BYTES = 128 * 1024
/** Milliseconds between two looks at a socket that is full. */
const DRAIN_LOOK_MS = 10
/** Milliseconds for which a session that catches up may not read at all. */
const STALLED_MS = 15_000
/** Rooms of one session that are read with what others read: of each a whole page is looked at, of more the log does better. */
const MAX_SHARED = 8

/** A place where messages may have been missed. */
export interface Gap {
  room?: string
  inbox?: true
  /** The position from which on something may be missing. */
  since: string
}

/** One topic of the log that a session reads from a position on. */
export interface Source {
  /** Absent: the user's inbox. */
  readonly room: string | undefined
  readonly from: number
  /** Whether the client has asked to be told if something is missing there. */
  readonly judged: boolean
}

/** What a session is going to be read. */
export interface Plan {
  /** Where each topic of the log begins. */
  readonly from: ReadonlyMap<string, number>
  /** The position before the replay. */
  readonly position: number
  readonly replayed: number
  readonly recovered: boolean
  readonly gaps: readonly Gap[]
}

/** What a client that fetches gets at a time. */
export interface Batch {
  /** In cursor order, without what the client has sent itself. */
  readonly messages: readonly Message[]
  /** The position after the batch. */
  readonly cursor: number
  /** Whether the log may have more for the client now. */
  readonly more: boolean
  /** Where something is missing that had been there; absent: nowhere. */
  readonly gap: { readonly rooms: readonly string[] | undefined; readonly position: number } | undefined
}

export interface CatchUpDeps {
  readonly clock: Clock
  readonly log: MessageLog
  readonly line: DeliveryLine
  readonly delivery: Delivery
  readonly turns: Turns
  /** Messages that one session may be read. */
  readonly maxReplayed: number
  readonly close: (session: Session, code: number, reason: string) => void
  readonly end: (session: Session, error: TidingsError) => void
}

export class CatchUp {
  private readonly deps: CatchUpDeps
  private readonly tails: Tails

  constructor(deps: CatchUpDeps) {
    this.deps = deps
    this.tails = new Tails(deps.log, () => deps.clock.monotonic())
  }

  /** The position of a session: everything up to it has been handed to the client. */
  positionOf(session: Session): number {
    return session.fetching?.position ?? session.gate?.position ?? this.deps.line.delivered
  }

  /** What a session has been given: nothing later can have been processed by its client. */
  givenTo(session: Session): number {
    return session.fetching?.given ?? this.positionOf(session)
  }

  /** Finds out what there is to read, and whether it is all there is. */
  async plan(session: Session, sources: readonly Source[]): Promise<Plan> {
    const { log, line, maxReplayed } = this.deps
    // A client may be ahead of its instance: it got its part of a broadcast that is still going round, and would get it again.
    await line.reached(Math.min(log.head(), Math.max(0, ...sources.map(({ from }) => from))))
    const delivered = line.delivered
    const counts: number[] = []
    for (const { room, from } of sources) {
      counts.push(from < delivered ? await log.count(topicOf(session, room), from) : 0)
    }
    // Where there is too much in all, each gets an equal part.
    const total = counts.reduce((sum, count) => sum + count, 0)
    const share = total > maxReplayed ? Math.floor(maxReplayed / sources.length) : maxReplayed
    const from = new Map<string, number>()
    const gaps: Gap[] = []
    let replayed = 0
    let position = delivered
    for (const [n, source] of sources.entries()) {
      const topic = topicOf(session, source.room)
      const count = counts[n] ?? 0
      // With nothing to read the client is level, wherever it comes from: its position need not stay in the past.
      let start = count === 0 ? delivered : source.from
      const whole = isRecoverable(source.from, await log.completeness(topic, source.from))
      // Of what was counted, some may not be delivered yet: then nothing of the past has to be left out.
      const newest = count > share ? await this.startOfLast(topic, share, delivered) : start
      const isTooMuch = newest > start
      if (isTooMuch) start = newest
      if (source.judged && (!whole || isTooMuch)) gaps.push(gapOf(source))
      replayed += Math.min(count, share)
      // Where nothing is left to read the position is what is live: an older one would be taken for a loss on coming back.
      if (count > 0) position = Math.min(position, start)
      from.set(topic, start)
    }
    // Messages for other devices are counted above; where one page holds everything, the number is exact.
    if (replayed > 0 && replayed <= PAGE) {
      replayed = wantedOf(await this.rows(session, [...from.keys()], position, delivered), from).length
    }
    return { from, position, replayed, recovered: gaps.length === 0 && sources.some(({ judged }) => judged), gaps }
  }

  /** Where a client that fetches begins. The others are gated, and the plan is run. */
  begin(session: Session, { from, position, gaps }: Plan): void {
    session.fetching?.begin(from, position, new Set(gaps.map(({ room }) => topicOf(session, room))))
  }

  /** Has a client that fetches be given everything after a position, which was not known when it was planned for. */
  goBack(session: Session, fetching: Fetching, position: number): void {
    const from = topicsOf(session, fetching.from)
    for (const [topic, planned] of from) from.set(topic, Math.min(planned, position))
    fetching.from = from
  }

  /** Closes the gate: the session hears nothing live until {@link run} has brought it level. */
  gate(session: Session, position: number): void {
    const former = session.gate
    session.gate = new Gate(position)
    for (const message of former?.release() ?? []) session.gate.hold(message)
  }

  /**
   * Reads a plan to a gated session, and opens the gate. A plan that is gated anew meanwhile takes the place of this one.
   * @param level called in the turn in which the session is level, after the last page and before anything live.
   */
  run(session: Session, plan: Plan, level: (replayed: number) => void): void {
    const { clock, line, turns } = this.deps
    const { gate } = session
    const told = new Map<string, number>()
    let replayed = 0
    let full: number | undefined
    const isOver = () => session.closed || gate === undefined || session.gate !== gate
    const next = () => turns.take(() => void step().catch((error) => this.deps.end(session, TidingsError.from(error))))
    const step = async (): Promise<void> => {
      if (isOver() || gate === undefined) return
      if (session.wire.bufferedBytes() > HIGH_WATER_BYTES) {
        const now = clock.monotonic()
        full ??= now
        if (now - full > STALLED_MS) this.deps.close(session, CLOSE.slowConsumer, 'slow_consumer')
        else setTimeout(next, DRAIN_LOOK_MS)
        return
      }
      full = undefined
      const upTo = line.delivered
      const topics = topicsOf(session, plan.from)
      const page = await this.read(session, topics, gate.position, upTo)
      await this.tellLost(session, topics, gate.position, plan, told)
      if (isOver()) return
      session.deliverAll(page.messages)
      replayed += page.messages.length
      gate.position = page.more ? page.last : upTo
      if (!page.more && line.delivered === upTo) this.open(session, gate, () => level(replayed))
      else next()
    }
    next()
  }

  /**
   * Says what was removed from the log while the session was being read to, ahead of what is left.
   * @param told up to where of each topic the client knows already that something is missing.
   */
  private async tellLost(
    session: Session,
    topics: ReadonlyMap<string, number>,
    position: number,
    plan: Plan,
    told: Map<string, number>,
  ): Promise<void> {
    const { log, clock } = this.deps
    const names = [...topics.keys()]
    const known = await Promise.all(
      names.map((topic) => log.completeness(topic, Math.max(position, topics.get(topic) ?? 0))),
    )
    const lost: string[] = []
    for (const [n, topic] of names.entries()) {
      const trimmed = known[n]?.trimmed ?? 0
      const from = topics.get(topic) ?? 0
      if (trimmed <= Math.max(position, from) || trimmed <= (told.get(topic) ?? 0)) continue
      // What was missing from the beginning was said with the plan.
      const isNew = told.has(topic) || !plan.gaps.some(({ room }) => topicOf(session, room) === topic)
      told.set(topic, trimmed)
      if (isNew) lost.push(topic)
    }
    if (lost.length === 0) return
    const rooms = roomsOf(lost)
    const cursor = formatCursor(position)
    const payload = { ...(rooms && { rooms }), from: cursor, cursor }
    session.send({ type: 'gap', payload, timestamp: toTimestamp(clock.now()) })
  }

  /** What a client that fetches has not had yet: what was delivered after its position, one page of it. */
  async fetch(session: Session, fetching: Fetching, after: number): Promise<Batch> {
    const topics = topicsOf(session, fetching.from)
    const { begun, told } = fetching
    fetching.begun = true
    // Of the first fetch the plan has said what is missing: only what was removed since is new.
    const asked = [...topics].filter(([topic]) => begun || !told.has(topic))
    const look = () => this.missing(asked, after, begun ? isRecoverable : isStillThere)
    const before = await look()
    const upTo = this.deps.line.delivered
    // A position from the future would hide everything until then.
    const start = before === undefined ? after : Math.min(after, upTo)
    const page = await this.read(session, topics, start, upTo)
    // The log may have removed something while it was waited for.
    const missing = before ?? (await look())
    const { more } = page
    const cursor = more ? page.last : Math.max(upTo, start)
    const messages = page.messages.filter((message) => !fetching.skips(message.cursor ?? 0))
    return { messages, cursor, more, gap: missing && { rooms: roomsOf(missing), position: start } }
  }

  /** Topics of which something after a position is not there any more. */
  private async missing(
    topics: readonly (readonly [topic: string, from: number])[],
    after: number,
    isThere: (position: number, known: Completeness) => boolean,
  ): Promise<string[] | undefined> {
    const missing: string[] = []
    for (const [topic, from] of topics) {
      const position = Math.max(after, from)
      if (!isThere(position, await this.deps.log.completeness(topic, position))) missing.push(topic)
    }
    return missing.length === 0 ? undefined : missing
  }

  /** Forgets what nobody reads any more. Called every second. */
  sweep(): void {
    this.tails.sweep()
  }

  /** Lets others have their turn, and a client read what it was sent, before the next page. */
  async breathe(session: Session): Promise<void> {
    const since = this.deps.clock.monotonic()
    while (!session.closed && session.wire.bufferedBytes() > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS))
      if (this.deps.clock.monotonic() - since > STALLED_MS)
        this.deps.close(session, CLOSE.slowConsumer, 'slow_consumer')
    }
    if (session.closed) throw new TidingsError('unavailable', 'The connection has ended')
    await new Promise<void>((resolve) => this.deps.turns.take(resolve))
  }

  private open(session: Session, gate: Gate, level: () => void): void {
    level()
    session.gate = undefined
    session.deliverAll(gate.release())
    this.deps.delivery.readmit(session)
  }

  private read(session: Session, from: ReadonlyMap<string, number>, after: number, upTo: number): MaybePromise<Page> {
    return whenReady(this.rows(session, [...from.keys()], after, upTo), (read) => {
      const { rows, more } = toPage(read)
      return { messages: wantedOf(rows, from).map(({ message }) => message), last: rows.at(-1)?.cursor ?? upTo, more }
    })
  }

  /** At most {@link PAGE} messages after a position in cursor order; fewer: there are no more. */
  private rows(session: Session, topics: readonly string[], after: number, upTo: number): MaybePromise<readonly Row[]> {
    const { log } = this.deps
    const rooms = topics.filter((topic) => parseLogTopic(topic).kind === 'room')
    const shared = rooms.length > MAX_SHARED ? [] : rooms
    const own = shared.length === 0 ? topics : topics.filter((topic) => !shared.includes(topic))
    const pages: MaybePromise<readonly Row[]>[] = shared.map((topic) => this.tails.read(topic, after, upTo, PAGE))
    if (own.length > 0) {
      const selection = { topics: own, device: session.deviceId }
      pages.push(whenReady(log.read(selection, after, upTo, PAGE), (rows) => rows.map((row) => new Row(row))))
    }
    return whenReady(allReady(pages), (ready) => mergePages(ready, PAGE))
  }

  /** The position right before the last `count` messages of a topic. */
  private async startOfLast(topic: string, count: number, upTo: number): Promise<number> {
    const [first] = await this.deps.log.tail(topic, Math.max(count, 1), upTo)
    return first === undefined ? upTo : first.cursor - 1
  }
}

/** Those of some rows that are for the session: each topic has a beginning of its own. */
function wantedOf(rows: readonly Row[], from: ReadonlyMap<string, number>): Row[] {
  return rows.filter(({ topic, cursor }) => cursor > (from.get(topic) ?? 0))
}

function topicOf(session: Session, room: string | undefined): string {
  return room === undefined ? userLog(session.userId) : roomLog(room)
}

/** The rooms of a session that keep history, from a cursor on. */
export function roomSources(session: Session, cursor: number): Source[] {
  return session.subscriptions.flatMap(({ topic }) =>
    topic.log === undefined ? [] : [{ room: topic.room, from: cursor, judged: true }],
  )
}

/**
 * Where each topic of the log begins for a session. A room that is not in the plan, because it starts live or was joined
 * meanwhile, is read from its join on: what is stored there while the gate stands comes by no other way.
 */
function topicsOf(session: Session, planned: ReadonlyMap<string, number>): Map<string, number> {
  const from = new Map<string, number>()
  const inbox = userLog(session.userId)
  const inboxFrom = planned.get(inbox)
  if (inboxFrom !== undefined) from.set(inbox, inboxFrom)
  for (const { topic, since } of session.subscriptions) {
    if (topic.log !== undefined) from.set(topic.log, planned.get(topic.log) ?? since)
  }
  return from
}

/** The rooms of some topics of the log; `undefined` where they are not only rooms. */
function roomsOf(topics: readonly string[]): string[] | undefined {
  const parsed = topics.map(parseLogTopic)
  return parsed.every(({ kind }) => kind === 'room') ? parsed.map(({ name }) => name) : undefined
}

interface Page {
  readonly messages: readonly Message[]
  /** The cursor of the last row, whether it was wanted or not. */
  readonly last: number
  /** Whether there may be more after it. */
  readonly more: boolean
}

function gapOf({ room, from }: Source): Gap {
  return room === undefined ? { inbox: true, since: formatCursor(from) } : { room, since: formatCursor(from) }
}
