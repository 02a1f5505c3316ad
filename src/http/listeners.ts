/** Where a server listens, as its configuration says. */
import type { Config } from '../config.ts'

export interface Listener {
  readonly hostname: string
  readonly port: number
  /** Where the address comes from, for the operator. */
  readonly setting: string
}

export function publicListener({ server }: Config): Listener {
  return { hostname: server.host, port: server.port, setting: 'server.host and server.port, or --port' }
}

/** The listener for the admin routes, where they have one of their own. */
export function adminListener({ admin: { listen } }: Config): Listener | undefined {
  if (listen === undefined) return undefined
  const colon = listen.lastIndexOf(':')
  const hostname = listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { hostname, port: Number(listen.slice(colon + 1)), setting: 'admin.listen' }
}
