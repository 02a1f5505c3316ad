/** Long polling: one request after the other, each with the cursor of the answer before it. */
import type { ServerFrame } from '../../protocol/frames.ts'
import { jsonCodec } from '../codec.ts'
import { HttpLink, type Receive } from './http-link.ts'
import type { OpenLink } from './transport.ts'

/** For so long the server may hold a request: less than the half minute after which many proxies cut it. */
const HOLD_MS = 25_000
/** Every answer is a heartbeat. So long after the last one no other will come. */
const HEARTBEAT = { interval_ms: HOLD_MS, timeout_ms: HOLD_MS + 10_000 }

interface Answer {
  readonly connection_id: string
  readonly cursor: string
  readonly messages: readonly ServerFrame[]
}

export const openPoll: OpenLink = (...context) => new HttpLink(['poll', pollOn, HEARTBEAT], ...context)

const pollOn: Receive = async (link, _environment, target, events) => {
  let { query } = target
  while (!link.over) {
    const response = await link.request('/poll', query)
    if (response === undefined) return
    const { connection_id, cursor, messages } = jsonCodec.decode(await response.text()) as Answer
    if (link.over) return
    events.alive()
    for (const frame of messages) link.take(frame)
    // The next poll would open a new session, as if nothing had been said.
    if (link.over || link.announced) return
    events.position(cursor)
    // What the first poll asked for is asked again: should the session have ended, a new one is made of it.
    query = { ...query, resume: '', connection_id, cursor, timeout: String(HOLD_MS / 1000) }
  }
}
