import type { Knock } from '../transports/handshake.ts'
import { queryOf } from './address.ts'

/** What a request needs of the server that it came to. */
export interface Listener {
  requestIP(request: Request): { readonly address: string } | null
}

/** What the door needs of a request. */
export function knockOf(request: Request, server: Listener | null): Knock {
  return { request, query: queryOf(request), peer: server?.requestIP(request)?.address ?? '' }
}
