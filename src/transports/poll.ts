/**
 * Long polling: a client that comes again and again for what there is, to whichever instance. The instance at which its
 * session began is the session's home and holds the polls; where it is silent another goes on with the session.
 */
import { NobodyThere, WorkerLost } from '../core/errands.ts'
import type { Hub } from '../core/hub.ts'
import type { Listed } from '../core/ports/directory.ts'
import type { Session } from '../core/session.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'
import type { Door, Entrance, Knock } from './handshake.ts'
import { homeOf } from './home.ts'
import { checkOwner, checkReceiver, cursorOf } from './parameters.ts'
import { type PollAnswer, PollConnection } from './poll-connection.ts'

/** Seconds for which a poll is held where the client does not say: under the half minute of the most impatient proxies. */
const DEFAULT_HOLD_S = 25
/** Most that a client may ask for. */
const MAX_HOLD_S = 60

/** The kind of errand that holds a poll of a session. */
const POLL = 'poll'

export class Polls {
  private readonly connections = new Map<string, PollConnection>()
  private readonly door: Door
  private readonly hub: Hub

  constructor(door: Door, hub: Hub) {
    this.door = door
    this.hub = hub
    hub.errands.does(POLL, (body, signal) => this.pollForOther(body, signal))
  }

  /**
   * Answers a poll when there is something for it, or its time is up.
   * @throws TidingsError where the request is refused with a status.
   */
  async poll(knock: Knock): Promise<PollAnswer> {
    const holdMs = holdSecondsOf(knock.query) * 1000
    const id = knock.query.get('connection_id') || undefined
    if (id === undefined) return this.begin(knock, undefined, holdMs)
    const answer = await this.goOn(knock, id, holdMs, false)
    if (answer !== undefined) return answer
    const heir = await this.hub.resumables.heirOf(id)
    const inherited = heir === undefined ? undefined : await this.goOn(knock, heir, holdMs, true)
    return inherited ?? this.begin(knock, id, holdMs)
  }

  /**
   * Goes on with a session that polls, wherever it is.
   * @param unclaimed only with one of which its client has not heard yet.
   * @returns nothing where there is no such session.
   */
  private async goOn(knock: Knock, id: string, holdMs: number, unclaimed: boolean): Promise<PollAnswer | undefined> {
    const { request, query } = knock
    const present = this.present(id, unclaimed)
    if (present === undefined) {
      const home = await homeOf(this.hub, id)
      return home?.record?.transport === 'poll' ? this.pollAt(home, knock, holdMs, unclaimed) : undefined
    }
    const identity = await this.door.recognise(knock, id)
    checkOwner(present.session, identity, query)
    const cursor = cursorOf(query)
    if (request.signal.aborted) throw new TidingsError('unavailable', 'The client has left')
    // It may have ended while its client was recognised.
    return present.over ? undefined : present.come(cursor, holdMs, request.signal)
  }

  private present(id: string, unclaimed: boolean): PollConnection | undefined {
    const present = this.connections.get(id)
    return present === undefined || present.over || (unclaimed && !present.unclaimed) ? undefined : present
  }

  /** A session of this process that has gone on here, and of which its client has not heard yet. */
  unclaimed(id: string): Session | undefined {
    return this.present(id, true)?.session
  }

  /**
   * Goes on here with a session whose instance is silent.
   * @throws TidingsError where the request is refused.
   */
  async adopt(knock: Knock, { connectionId, deviceId }: Listed): Promise<Session> {
    const connection = await this.open(knock, { former: connectionId, deviceId, isSilent: true })
    connection.unclaimed = true
    return connection.session
  }

  /** Has the session's own instance hold a poll; where that is silent, the session goes on here. */
  private async pollAt(
    home: Listed,
    knock: Knock,
    holdMs: number,
    unclaimed: boolean,
  ): Promise<PollAnswer | undefined> {
    const { request, query } = knock
    const { connectionId, deviceId, instance } = home
    checkOwner(home, await this.door.recognise(knock, connectionId), query)
    const cursor = cursorOf(query)
    const body = { connection_id: connectionId, cursor: cursor ?? null, hold_ms: holdMs, unclaimed }
    try {
      const errand = { kind: POLL, body, timeoutMs: holdMs, signal: request.signal }
      const answer = await this.hub.errands.send(instance, errand)
      return answer === null ? undefined : { ...readAnswer(answer), instance }
    } catch (error) {
      if (!(error instanceof NobodyThere || error instanceof WorkerLost)) throw error
      const connection = await this.open(knock, { former: connectionId, deviceId, isSilent: true })
      return connection.come(undefined, holdMs, request.signal)
    }
  }

  /** Holds a poll that came to another instance, which knows that it is the session's own client's. */
  private async pollForOther(
    { connection_id: id, cursor, hold_ms: holdMs, unclaimed }: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<PollAnswer | undefined> {
    const present = typeof id === 'string' ? this.present(id, unclaimed === true) : undefined
    if (present === undefined || typeof holdMs !== 'number' || holdMs < 0) return undefined
    return present.come(typeof cursor === 'number' ? cursor : undefined, Math.min(holdMs, MAX_HOLD_S * 1000), signal)
  }

  /**
   * Whether nobody has a connection any more. One that lives is not this client's poll, and no poll may take it over by the
   * way; nor may the last poll of a client that has gone on by another transport end what it has gone on with.
   */
  private async isGone(connectionId: string): Promise<boolean> {
    const { backend, resumables } = this.hub
    const isThere = async (id: string) => (await backend.directory.find(id)) !== undefined
    if (await isThere(connectionId)) return false
    const heir = await resumables.heirOf(connectionId)
    return heir === undefined || !(await isThere(heir))
  }

  private async begin(knock: Knock, former: string | undefined, holdMs: number): Promise<PollAnswer> {
    const isComingBack = former !== undefined && (await this.isGone(former))
    const check = () => checkReceiver(knock.request, knock.query)
    const connection = await this.open(knock, { check, former: isComingBack ? former : undefined })
    return connection.come(undefined, holdMs, knock.request.signal)
  }

  private async open(knock: Knock, entrance: Omit<Entrance, 'transport'>): Promise<PollConnection> {
    const { request } = knock
    const admitted = await this.door.admit(knock, { ...entrance, transport: 'poll', comesAgain: true })
    if (request.signal.aborted) {
      admitted.cancel()
      throw new TidingsError('unavailable', 'The client has left')
    }
    const { connectionId } = admitted.init
    const connection = new PollConnection(this.hub, admitted, () => this.connections.delete(connectionId))
    this.connections.set(connectionId, connection)
    this.hub.open(connection.session, admitted.start)
    admitted.place.release()
    return connection
  }
}

/** Reads what another instance has answered. */
function readAnswer(value: unknown): PollAnswer {
  const { connectionId, cursor, messages } = isRecord(value) ? value : {}
  if (typeof connectionId === 'string' && typeof cursor === 'string' && Array.isArray(messages)) {
    return { connectionId, cursor, messages: messages.map(String) }
  }
  throw new TidingsError('unavailable', 'Another instance does not answer')
}

/** Seconds for which a request may be held. */
export function holdSecondsOf(query: URLSearchParams): number {
  const text = query.get('timeout')
  if (text === null) return DEFAULT_HOLD_S
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
  if (seconds <= MAX_HOLD_S) return seconds
  const message = `The timeout is a number of seconds from 0 to ${MAX_HOLD_S}`
  throw new TidingsError('invalid_message', message, { details: { field: 'timeout', max: MAX_HOLD_S } })
}
