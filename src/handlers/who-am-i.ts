import type { BuiltIn } from '../core/dispatch.ts'
import type { Hub } from '../core/hub.ts'
import { recordOf } from '../core/records.ts'

/** `who_am_i`: the connection as the server sees it. */
export function whoAmI(hub: Hub): BuiltIn {
  return (exchange) => exchange.ack(recordOf(exchange.session, hub.clock))
}
