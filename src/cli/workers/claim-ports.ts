/** The addresses that workers share, which nobody else must have. */
import type { Config } from '../../config.ts'
import { ListenError } from '../../http/listen-error.ts'
import { adminListener, type Listener, publicListener } from '../../http/listeners.ts'

/**
 * Listens on every address for a moment, alone: workers, which let others listen beside them, would share it silently
 * with another supervisor's. Returns the configuration with the ports found where it leaves the choice to the system.
 * @throws ListenError where an address is taken or none of this machine.
 */
export async function claimPorts(config: Config): Promise<Config> {
  const claims: Bun.Server<undefined>[] = []
  const claim = (listener: Listener): number => {
    const server = listenAlone(listener)
    claims.push(server)
    return server.port ?? listener.port
  }
  try {
    const port = claim(publicListener(config))
    const admin = adminListener(config)
    const listen = admin && config.admin.listen?.replace(/\d+$/, String(claim(admin)))
    return {
      ...config,
      server: { ...config.server, port },
      admin: { ...config.admin, ...(listen !== undefined && { listen }) },
    }
  } finally {
    await Promise.all(claims.map((server) => server.stop(true)))
  }
}

function listenAlone({ hostname, port, setting }: Listener): Bun.Server<undefined> {
  try {
    const fetch = () => new Response(null, { status: 503 })
    return Bun.serve({ hostname, port, reusePort: false, development: false, fetch })
  } catch (error) {
    throw new ListenError(hostname, port, setting, error)
  }
}
