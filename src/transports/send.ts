/** Frames by POST, from clients whose own transport only receives, and from those who are not connected at all. */
import { limitKey } from '../auth/proxies.ts'
import type { Hub } from '../core/hub.ts'
import type { Identity } from '../core/identity.ts'
import type { Session } from '../core/session.ts'
import { inEnvelope } from '../protocol/encoding.ts'
import { connectionEnded, TidingsError } from '../protocol/errors.ts'
import { frameIdOf, isRecord, parseClientFrame, type ServerFrame } from '../protocol/frames.ts'
import { encodeJson } from '../protocol/json.ts'
import type { Door, Knock } from './handshake.ts'
import { checkOwner, deviceOf } from './parameters.ts'

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

/** Stands for a connection in the name of the device of who names none: always the same, so that a retry is known. */
const NOT_CONNECTED = 'http'

export class Sends {
  private readonly door: Door
  private readonly hub: Hub

  constructor(door: Door, hub: Hub) {
    this.door = door
    this.hub = hub
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

  private async handle(
    knock: Knock,
    identity: Identity,
    frame: PostedFrame,
    budget: { left: number },
  ): Promise<Outcome> {
    const { value, bytes, problem } = frame
    const visitor = () => this.visitorOf(knock, identity)
    let session: Session | undefined
    const frames: ServerFrame[] = []
    try {
      session = this.sessionOf(knock, identity, value) ?? visitor()
      const { envelope } = session.encoding
      if (problem !== undefined) throw problem
      if (session.visiting && parseClientFrame(value).to === undefined) {
        throw new TidingsError('invalid_message', 'Without a connection_id a frame says whom it is for', {
          details: { field: 'to' },
        })
      }
      await this.hub.receiver.submit(session, value, bytes, (answer) => {
        budget.left -= answer.history ? encodeJson(answer).length : 0
        if (budget.left < 0) throw tooMuch()
        frames.push(inEnvelope(answer, envelope))
      })
      return { frames, error: undefined }
    } catch (thrown) {
      const error = TidingsError.from(thrown)
      const answering = session ?? visitor()
      const answer = this.hub.failure(answering, error, frameIdOf(value))
      return { frames: [...frames, inEnvelope(answer, answering.encoding.envelope)], error }
    }
  }

  private sessionOf({ query }: Knock, identity: Identity, value: unknown): Session | undefined {
    const id = connectionIdOf(value)
    if (id === undefined) return undefined
    const session = this.hub.registry.get(id)
    if (session === undefined) throw connectionEnded()
    checkOwner(session, identity, query)
    return session
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

function tooMuch(): TidingsError {
  return new TidingsError('payload_too_large', 'The history is too long for one answer: ask for less of it', {
    details: { max_bytes: MAX_ANSWER_BYTES },
  })
}
