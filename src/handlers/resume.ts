import { roomSources } from '../core/catch-up.ts'
import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { formatCursor, parseCursor } from '../protocol/cursor.ts'
import { TidingsError } from '../protocol/errors.ts'
import { isRecord } from '../protocol/frames.ts'

/** `resume`: everything after the cursor again, then `resumed`, then what is live; live frames wait meanwhile. */
export function resume(hub: Hub): BuiltIn {
  return async (exchange) => {
    const { session, frame } = exchange
    const named = isRecord(frame.payload) ? frame.payload['cursor'] : undefined
    const cursor = typeof named === 'string' ? parseCursor(named) : undefined
    if (cursor === undefined) {
      throw new TidingsError('invalid_message', 'Invalid cursor', { details: { field: 'cursor' } })
    }
    const inbox = hub.config.inbox.max_messages > 0 ? [{ room: undefined, from: cursor, judged: true }] : []
    const plan = await hub.catchUp.plan(session, [...inbox, ...roomSources(session, cursor)])
    if (session.closed) return
    const { recovered, gaps } = plan
    if (session.fetching !== undefined) {
      // It reads by itself: it is told from where.
      hub.catchUp.begin(session, plan)
      exchange.answer('resumed', { recovered, replayed: plan.replayed, cursor: formatCursor(plan.position), gaps })
      return
    }
    hub.catchUp.gate(session, plan.position)
    hub.delivery.suspend(session)
    await new Promise<void>((resolve) => {
      hub.catchUp.run(session, plan, (replayed) => {
        exchange.answer('resumed', { recovered, replayed, cursor: formatCursor(hub.line.delivered), gaps })
        resolve()
      })
    })
  }
}
