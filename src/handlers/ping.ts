import { toTimestamp } from '../core/clock.ts'
import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'

/** `ping`: a round trip through the whole server, with the position that this connection has for certain. */
export function ping(hub: Hub): BuiltIn {
  return (exchange) => {
    const echo = exchange.frame.payload
    exchange.session.pings = true
    exchange.answer('pong', {
      server_time: toTimestamp(hub.clock.now()),
      ...(echo !== undefined && { echo }),
      cursor: hub.position(exchange.session),
    })
  }
}
