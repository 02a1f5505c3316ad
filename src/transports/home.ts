import type { Hub } from '../core/hub.ts'
import type { Listed } from '../core/ports/directory.ts'

/** Where a connection is that is none of this process; `undefined`: it is here, or nowhere. */
export async function homeOf(hub: Hub, connectionId: string): Promise<Listed | undefined> {
  if (hub.peers.here === undefined) return undefined
  const listed = await hub.backend.directory.find(connectionId)
  return listed !== undefined && hub.peers.isElsewhere(listed.instance) ? listed : undefined
}
