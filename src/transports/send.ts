/** Frames by POST, from clients whose own transport only receives, and from those who are not connected at all. */
import { limitKey } from '../auth/proxies.ts'
import { NobodyThere, plainError, readError } from '../core/errands.ts'
import type { Hub } from '../core/hub.ts'
import type { Identity } from '../core/identity.ts'
import type { Listed } from '../core/ports/directory.ts'
import type { Session } from '../core/session.ts'
import { bytesFromJson } from '../protocol/bytes.ts'
import { inEnvelope } from '../protocol/encoding.ts'
import { connectionEnded, TidingsError } from '../protocol/errors.ts'
import { frameIdOf, isRecord, parseClientFrame, type ServerFrame } from '../protocol/frames.ts'
import { encodeJson } from '../protocol/json.ts'
import type { Door, Knock } from './handshake.ts'
import { homeOf } from './home.ts'
import { checkOwner, deviceOf } from './parameters.ts'
import type { Polls } from './poll.ts'

/** A frame of a body, decoded. */
export interface PostedFrame {
  readonly value: unknown
  /** Bytes that it took. */
  readonly bytes: number
  /** Why it may not even be looked at; absent: it may. */
  readonly problem?: TidingsError | undefined
}

/** What became of a frame. */
export interface Outcome {
  /** The answers, in order; with an error that is the last of them. */
  readonly frames: readonly ServerFrame[]
  readonly error: TidingsError | undefined
}

/**
 * Bytes of all answers to one request: they are held until the last is there. A history that is longer is asked for in
 * parts, or comes over the connection by `resume`.
 */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

/** Milliseconds for which another instance may handle a frame where handlers have no limit. */
const MAX_HANDLING_MS = 60_000

/** Bytes that the answers to one request may still take. */
interface Budget {
  left: number
}

/** Stands for a connection in the name of the device of who names none: always the same, so that a retry is known. */
const NOT_CONNECTED = 'http'

/** The kind of errand that handles a frame for a session. */
const SEND = 'send'

export class Sends {
  private readonly door: Door
  private readonly hub: Hub
  private readonly polls: Polls

  constructor(door: Door, hub: Hub, polls: Polls) {
    this.door = door
    this.hub = hub
    this.polls = polls
    hub.errands.does(SEND, (body) => this.handleForOther(body))
  }

  /**
   * Handles the frames of one request, in order.
   * @param read reads the body; not called for strangers.
   * @returns an outcome for each frame, in their order.
   * @throws TidingsError where the request as a whole is refused.
   */
  async send(knock: Knock, read: () => Promise<readonly PostedFrame[]>): Promise<Outcome[]> {
    const { credentials } = this.door.credentialsOf(knock.request, knock.query)
    // A ticket says who this is only together with the session that it has opened.
    const known = credentials?.kind === 'ticket' ? undefined : await this.door.recognise(knock)
    const frames = await read()
    const [first] = frames
    const identity = known ?? (await this.door.recognise(knock, first && connectionIdOf(first.value)))
    const budget = { left: MAX_ANSWER_BYTES }
    // Each has its place in its session's queue before the next is looked at.
    return Promise.all(frames.map((frame) => this.handle(knock, identity, frame, budget)))
  }

  private async handle(knock: Knock, identity: Identity, frame: PostedFrame, budget: Budget): Promise<Outcome> {
    const { value, problem } = frame
    const visitor = () => this.visitorOf(knock, identity)
    let session: Session | undefined
    try {
      const id = connectionIdOf(value)
      const present = id === undefined ? undefined : this.hub.registry.get(id)
      if (id !== undefined && present === undefined) {
        return await this.handleElsewhere(knock, identity, frame, id, budget)
      }
      session = present ?? visitor()
      if (present !== undefined) checkOwner(present, identity, knock.query)
      if (problem !== undefined) throw problem
      if (session.visiting && parseClientFrame(value).to === undefined) {
        throw new TidingsError('invalid_message', 'Without a connection_id a frame says whom it is for', {
          details: { field: 'to' },
        })
      }
    } catch (thrown) {
      return this.failed(session ?? visitor(), value, thrown)
    }
    return this.submit(session, frame, budget)
  }

  /** Handles a frame for a session of this process. It has its place in the session's queue when this returns. */
  private async submit(session: Session, { value, bytes }: PostedFrame, budget: Budget): Promise<Outcome> {
    const { envelope } = session.encoding
    const frames: ServerFrame[] = []
    try {
      await this.hub.receiver.submit(session, value, bytes, (answer) => {
        budget.left -= answer.history ? encodeJson(answer).length : 0
        if (budget.left < 0) throw tooMuch()
        frames.push(inEnvelope(answer, envelope))
      })
      return { frames, error: undefined }
    } catch (thrown) {
      const failed = this.failed(session, value, thrown)
      return { ...failed, frames: [...frames, ...failed.frames] }
    }
  }

  private async handleElsewhere(
    knock: Knock,
    identity: Identity,
    frame: PostedFrame,
    connectionId: string,
    budget: Budget,
  ): Promise<Outcome> {
    const home = await homeOf(this.hub, connectionId)
    if (home !== undefined) return this.handleAt(home, knock, identity, frame, budget, false)
    // An earlier frame had the session go on, and its client hears of that with its next poll.
    const heir = await this.hub.resumables.heirOf(connectionId)
    const present = heir === undefined ? undefined : this.polls.unclaimed(heir)
    if (present !== undefined) {
      checkOwner(present, identity, knock.query)
      if (frame.problem !== undefined) throw frame.problem
      return this.submit(present, frame, budget)
    }
    const heirsHome = heir === undefined ? undefined : await homeOf(this.hub, heir)
    if (heirsHome?.record?.transport !== 'poll') throw connectionEnded()
    return this.handleAt(heirsHome, knock, identity, frame, budget, true)
  }

  /**
   * The session's own instance handles the frame; where that is silent, a session that polls goes on here.
   * @param unclaimed only for one of which its client has not heard yet.
   */
  private async handleAt(
    home: Listed,
    knock: Knock,
    identity: Identity,
    frame: PostedFrame,
    budget: Budget,
    unclaimed: boolean,
  ): Promise<Outcome> {
    const { errands, config } = this.hub
    checkOwner(home, identity, knock.query)
    if (frame.problem !== undefined) throw frame.problem
    const body = { connection_id: home.connectionId, frame: frame.value, bytes: frame.bytes, unclaimed }
    const timeoutMs = config.handlers.timeout_ms || MAX_HANDLING_MS
    try {
      return readOutcome(await errands.send(home.instance, { kind: SEND, body, timeoutMs }))
    } catch (error) {
      if (!(error instanceof NobodyThere)) throw error
      if (home.record?.transport !== 'poll') throw new TidingsError('unavailable', 'The connection cannot be reached')
      return this.submit(await this.polls.adopt(knock, home), frame, budget)
    }
  }

  /** Handles a frame that came to another instance, which knows that it is the session's own client's. */
  private async handleForOther(body: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { connection_id: id, frame, bytes, unclaimed } = body
    const sessionOf = (id: string) => (unclaimed === true ? this.polls.unclaimed(id) : this.hub.registry.get(id))
    const session = typeof id === 'string' ? sessionOf(id) : undefined
    if (session === undefined || typeof bytes !== 'number') throw connectionEnded()
    const value = bytesFromJson(frame, (marked) => marked)
    const { frames, error } = await this.submit(session, { value, bytes }, { left: MAX_ANSWER_BYTES })
    return { frames, error: error && plainError(error) }
  }

  private failed(session: Session, value: unknown, thrown: unknown): Outcome {
    const error = TidingsError.from(thrown)
    const answer = this.hub.failure(session, error, frameIdOf(value))
    return { frames: [inEnvelope(answer, session.encoding.envelope)], error }
  }

  private visitorOf(knock: Knock, identity: Identity): Session {
    const ip = this.door.addressOf(knock)
    const deviceId = deviceOf(identity, knock.query, NOT_CONNECTED)
    return this.hub.visitors.of({ identity, deviceId, ip, addressKey: limitKey(ip) })
  }
}

/** The connection that a frame belongs to; absent: it comes on its own. */
function connectionIdOf(value: unknown): string | undefined {
  const id = isRecord(value) ? value['connection_id'] : undefined
  if (id === undefined || id === null) return undefined
  if (typeof id === 'string') return id
  throw new TidingsError('invalid_message', 'Invalid connection_id: a string is expected', {
    details: { field: 'connection_id' },
  })
}

/** Reads what another instance has answered. */
function readOutcome(value: unknown): Outcome {
  const { frames, error } = isRecord(value) ? value : {}
  if (!Array.isArray(frames)) throw new TidingsError('unavailable', 'Another instance does not answer')
  const told = bytesFromJson(frames, (marked) => marked) as ServerFrame[]
  return { frames: told, error: error === undefined ? undefined : readError(error) }
}

function tooMuch(): TidingsError {
  return new TidingsError('payload_too_large', 'The history is too long for one answer: ask for less of it', {
    details: { max_bytes: MAX_ANSWER_BYTES },
  })
}
