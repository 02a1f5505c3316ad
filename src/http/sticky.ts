/** The cookie by which a load balancer can keep a client where its session is. Nothing here needs it. */
import type { Hub } from '../core/hub.ts'

/** Headers that set the cookie to an instance; none where none is configured, or there is one instance. */
export type Sticky = (request: Request, instance?: string) => Readonly<Record<string, string>>

export function createSticky({ config, peers }: Pick<Hub, 'config' | 'peers'>): Sticky {
  const name = config.cluster.sticky_cookie
  return ({ headers }, instance = peers.here) => {
    if (name === undefined || instance === undefined) return {}
    // A page of another site sends a cookie along only over TLS, and only one that says so.
    const isSecure = headers.get('x-forwarded-proto') === 'https'
    return { 'set-cookie': `${name}=${instance}; Path=/; HttpOnly; SameSite=${isSecure ? 'None; Secure' : 'Lax'}` }
  }
}
