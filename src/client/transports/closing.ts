/** Which error a link ended with. Most errors answer one frame and leave the connection as it is. */
import type { ServerFrame } from '../../protocol/frames.ts'
import { ClientError } from '../error.ts'

/** Errors, and families of errors, after which the server ends the session. */
const ENDS = new Set(['RT_001', 'RT_002', 'RT_006', 'disconnected', 'connection_limit', 'draining'])

/**
 * The error that a frame of the stream announces the end with; `undefined` for every other frame.
 * @param welcomed whether there is a session at all: before that any error is the end.
 */
export function endingError({ type, payload }: ServerFrame, welcomed: boolean): ClientError | undefined {
  if (type === 'server_draining') return new ClientError('draining', 'The server is leaving', { code: 'RT_009' })
  const error = type === 'error' ? ClientError.read(payload) : undefined
  return error !== undefined && welcomed && !ENDS.has(error.code ?? '') && !ENDS.has(error.reason) ? undefined : error
}

/** Close codes after which coming back the same way does not help, unless an error frame says otherwise. */
const FOR_GOOD = new Set([4001, 4003, 4009])

/**
 * The error behind a close frame.
 * @param reason the error's name, or empty where the connection just broke.
 * @param last the newest error frame: it tells more, if it is the one that the close is about.
 */
export function closeError(code: number, reason: string, last: ClientError | undefined): ClientError {
  if (last !== undefined && last.reason === reason) return last
  const message = `The connection closed with code ${code}${reason && `: ${reason}`}`
  return new ClientError(reason || 'unreachable', message, { reconnect: !FOR_GOOD.has(code) })
}
