/** Who may use the admin routes, and what is written down of what they do. */
import { Elysia } from 'elysia'
import type { AdminPrincipal } from '../auth/admin.ts'
import type { LogFields } from '../core/log.ts'
import { TidingsError } from '../protocol/errors.ts'
import { forgivingPath } from './address.ts'
import type { HttpDeps } from './deps.ts'
import { knockOf, type Listener } from './knock.ts'

/** Everything below these is an admin's. Nobody else learns what exists there, not even which addresses do. */
const ADMIN_PREFIXES = [
  '/realtime/connections',
  '/realtime/users',
  '/realtime/rooms',
  '/realtime/publish',
  '/realtime/tokens',
  '/realtime/drain',
]

/** Whether anybody could take a path for an admin's. */
export function looksLikeAdmin(path: string): boolean {
  const plain = forgivingPath(path)
  return ADMIN_PREFIXES.some((prefix) => plain === prefix || plain.startsWith(`${prefix}/`))
}

/** An admin who is doing something. */
export class Admin {
  readonly principal: AdminPrincipal
  private readonly deps: HttpDeps
  private readonly ip: string

  constructor(principal: AdminPrincipal, deps: HttpDeps, ip: string) {
    this.principal = principal
    this.deps = deps
    this.ip = ip
  }

  /**
   * Does something that changes something, and writes down who did what to whom with what outcome.
   * @param what names of what it is done to; never a payload or a token.
   * @param outcome what of the result is worth a line.
   */
  async act<R>(
    action: string,
    what: LogFields,
    run: () => Promise<R> | R,
    outcome: (result: R) => LogFields,
  ): Promise<R> {
    const fields = { admin: this.principal.id, ip: this.ip, action, ...what }
    try {
      const result = await run()
      this.deps.log.info('admin_action', { ...fields, outcome: 'ok', ...outcome(result) })
      return result
    } catch (error) {
      this.deps.log.info('admin_action', { ...fields, outcome: TidingsError.from(error).errorName })
      throw error
    }
  }
}

/**
 * Guards the routes of the plugin that uses this, and gives them `admin`. It is part of each route and no check of paths:
 * whatever way a request finds to a route, it meets the guard there.
 */
export function adminOnly(deps: HttpDeps) {
  const admins = new WeakMap<Request, Promise<Admin>>()
  const admit = async (request: Request, server: Listener | null): Promise<Admin> => {
    const principal = await deps.guard.check(request.headers.get('authorization'))
    const admin = new Admin(principal, deps, deps.door.addressOf(knockOf(request, server)))
    deps.log.debug('admin_request', { admin: principal.id, method: request.method })
    return admin
  }
  const once = (request: Request, server: Listener | null): Promise<Admin> => {
    let admin = admins.get(request)
    if (admin === undefined) {
      admin = admit(request, server)
      admins.set(request, admin)
    }
    return admin
  }
  return new Elysia()
    .onParse({ as: 'scoped' }, async ({ request, server }) => {
      // Before a body is read: what a stranger sends is not worth a byte.
      await once(request, server)
    })
    .derive({ as: 'scoped' }, async ({ request, server }) => ({ admin: await once(request, server) }))
}
