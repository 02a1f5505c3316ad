/** What each frame of the server is for: an answer, a word to the client itself, or a message for listeners. */
import type { ServerFrame } from '../protocol/frames.ts'
import type { Intake } from './intake.ts'
import type { Outbox } from './outbox.ts'
import type { Rooms } from './rooms.ts'

export interface FrameParts {
  readonly outbox: Outbox
  readonly intake: Intake
  readonly rooms: Rooms
  /** The server drains and says when to come back. */
  comeBackAfter(ms: number | undefined): void
  /** The token is about to expire. */
  expiring(): void
}

/** @param inStream an answer beside the stream may be ahead of it: then its cursor is no position of ours. */
export function routeFrame(frame: ServerFrame, inStream: boolean, parts: FrameParts): void {
  const payload = (frame.payload ?? {}) as Record<string, unknown>
  if (frame.history !== true && ANSWERS.has(frame.type)) answer(frame, payload, inStream, parts)
  else say(frame, payload, parts)
}

const ANSWERS = new Set(['ack', 'error', 'pong'])

function answer(frame: ServerFrame, payload: Record<string, unknown>, inStream: boolean, parts: FrameParts): void {
  const { outbox, intake } = parts
  const answered = outbox.settle(frame)
  if (frame.type === 'error') {
    if (answered === undefined) intake.handOn(frame)
  } else {
    // The cursor of a published message names the message; it is no position.
    if (inStream && (frame.type === 'pong' || answered === 'join_room')) intake.advance(payload['cursor'])
    intake.known(payload['id'])
  }
}

function say(frame: ServerFrame, payload: Record<string, unknown>, parts: FrameParts): void {
  const { outbox, intake, rooms } = parts
  switch (frame.type) {
    case 'position':
      intake.advance(frame.cursor)
      return
    case 'resumed':
      intake.advance(payload['cursor'])
      break
    case 'gap':
      intake.reset(payload['cursor'])
      // Not like a message: its cursor is where the position is now.
      intake.handOn(frame)
      return
    case 'rate_limited':
      outbox.pause(payload['retry_after_ms'] as number)
      break
    case 'server_draining':
      parts.comeBackAfter(payload['reconnect_after_ms'] as number | undefined)
      break
    case 'token_expiring':
      parts.expiring()
      break
  }
  rooms.counted(payload['room_id'], payload['participant_count'])
  intake.take(frame)
}
