/** Long polling: one request after the other, each with the cursor of the answer before it. */
import type { ServerFrame } from '../../protocol/frames.ts'
import { jsonCodec } from '../codec.ts'
import { HttpLink, type Receive } from './http-link.ts'
import type { OpenLink } from './transport.ts'

/** Seconds that the server may hold a request: less than the half minute after which many proxies cut it. */
const HOLD_S = 25
/** Milliseconds over that after which no answer will come. */
const GRACE_MS = 10_000

interface Answer {
  readonly connection_id: string
  readonly cursor?: string
  readonly messages: readonly ServerFrame[]
}

export const openPoll: OpenLink = (...context) => new HttpLink('poll', pollOn, ...context)

const pollOn: Receive = async (link, { clock }, target, events) => {
  let { query } = target
  while (!link.over) {
    const timer = clock.set(() => link.abandon(), HOLD_S * 1000 + GRACE_MS)
    try {
      const response = await link.request('/poll', query)
      if (response === undefined) return
      const { connection_id, cursor, messages } = jsonCodec.decode(await response.text()) as Answer
      if (link.over) return
      events.alive()
      for (const frame of messages) link.take(frame)
      // The next poll would open a new session, as if nothing had been said.
      if (link.over || link.announced) return
      if (cursor !== undefined) events.position(cursor)
      // What the first poll asked for is asked again: should the session have ended, a new one is made of it.
      query = { ...query, resume: '', connection_id, cursor: cursor ?? '', timeout: String(HOLD_S) }
    } finally {
      clock.clear(timer)
    }
  }
}
