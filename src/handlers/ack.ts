import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { whenReady } from '../core/maybe-promise.ts'
import { parseCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'

/**
 * `ack` from a client: how far it has processed its messages, or the answer to a server event that asked for one. Who wants
 * to hear that it has counted hears so when it does wherever the device comes back.
 */
export function ack(hub: Hub): BuiltIn {
  return (exchange) => {
    const { payload } = exchange.frame
    const correlationId = isRecord(payload) ? payload['correlation_id'] : undefined
    const cursor = isRecord(payload) ? payload['cursor'] : undefined
    if (typeof correlationId === 'string') {
      hub.speaker.answer(correlationId, exchange.session.connectionId, (payload as Record<string, unknown>)['result'])
    } else {
      const position = typeof cursor === 'string' ? parseCursor(cursor) : undefined
      if (position === undefined) refuse()
      hub.inbox.acknowledge(exchange.session, position)
      if (exchange.isAwaited) return whenReady(hub.inbox.settle(exchange.session), () => exchange.ack({}))
    }
    exchange.ack({})
  }
}

function refuse(): never {
  throw new TidingsError('invalid_message', 'Invalid payload: an ack names a cursor or a correlation_id', {
    details: { field: 'payload' },
  })
}
