/** Writes what happens to connections to the log. Frames that arrive are no event: there are too many. */
import { causeOf } from '../core/cause.ts'
import type { Log } from '../core/log.ts'
import type { Observer } from '../core/observer.ts'
import type { Session } from '../core/session.ts'

export function logObserver(log: Log): Observer {
  return {
    opened(session) {
      log.info('connection_opened', { ...fieldsOf(session), transport: session.wire.transport, ip: session.ip })
    },
    closed(session, { code, reason, durationMs }) {
      const event = reason === 'heartbeat_timeout' ? 'heartbeat_timeout' : 'connection_closed'
      log.info(event, {
        ...fieldsOf(session),
        code,
        reason,
        duration_ms: durationMs,
        transport: session.wire.transport,
      })
    },
    failed(session, error, correlationId) {
      const fields = { ...fieldsOf(session), correlation_id: correlationId, error_code: error.errorName }
      if (error.errorName === 'internal_error') log.error('frame_failed', { ...fields, error: error.cause })
      else log.info('frame_refused', { ...fields, reason: error.message, cause: causeOf(error) })
    },
    blocked(session, type, ms) {
      log.warn('handler_blocked_loop', { ...fieldsOf(session), type, ms: Math.round(ms) })
    },
  }
}

function fieldsOf(session: Session) {
  return { connection_id: session.connectionId, user_id: session.userId }
}
