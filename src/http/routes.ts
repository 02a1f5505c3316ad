/** Every route of the server, and what holds for all of them. */
import { type AnyElysia, Elysia } from 'elysia'
import { createAdminGuard } from '../auth/admin.ts'
import type { Hub } from '../core/hub.ts'
import type { Log } from '../core/log.ts'
import type { Door } from '../transports/handshake.ts'
import { Polls } from '../transports/poll.ts'
import { hostIsClear } from './address.ts'
import { Border } from './border.ts'
import { connectionRoutes } from './connections.ts'
import { Cors } from './cors.ts'
import type { HttpDeps } from './deps.ts'
import { developmentRoutes, type SignToken } from './development.ts'
import { drainRoutes } from './drain.ts'
import { fallback, unclearHost } from './fallback.ts'
import { healthRoutes } from './health.ts'
import { meRoutes } from './me.ts'
import { clientScript, startPage } from './pages.ts'
import { pollRoutes } from './poll.ts'
import { publishRoutes } from './publish.ts'
import type { Neighbours } from './readiness.ts'
import { realtimeRoutes } from './realtime.ts'
import { roomRoutes } from './rooms.ts'
import { sendRoutes } from './send.ts'
import { streamRoutes } from './sse.ts'
import { statusRoutes } from './status.ts'
import { createSticky } from './sticky.ts'
import { swaggerRoutes } from './swagger.ts'
import { ticketRoutes } from './ticket.ts'
import { tokenRoutes } from './tokens.ts'
import { userRoutes } from './users.ts'

export interface HttpOptions {
  readonly hub: Hub
  readonly door: Door
  readonly log: Log
  /** Signs tokens for whoever asks. In development alone; absent: nobody gets one. */
  readonly signForAnyone?: SignToken | undefined
  readonly neighbours?: Neighbours | undefined
}

export interface HttpRoutes {
  /** What clients talk to; the admin routes too, unless they have a listener of their own. For any Elysia application. */
  readonly routes: AnyElysia
  /** {@link routes} as an application of its own, with its description and an answer to everything else. */
  readonly site: AnyElysia
  /** The same of the admin routes, where they have a listener of their own. */
  readonly adminSite: AnyElysia | undefined
}

export function httpRoutes({ hub, door, log, signForAnyone, neighbours }: HttpOptions): HttpRoutes {
  const { server, auth, admin } = hub.config
  const cors = new Cors({ allowedOrigins: server.allowed_origins, cookies: auth.cookie !== undefined })
  const guard = createAdminGuard({ keys: admin.keys, jwtRole: admin.jwt_role, verify: hub.verify })
  const border = new Border(log, cors)
  const deps = { hub, door, log, border, guard, sticky: createSticky(hub), neighbours }
  const pages = pagesOf(deps, signForAnyone)
  if (admin.listen === undefined) {
    const routes = routesOf(deps, true, [...clientRoutes(deps), ...adminRoutes(deps)])
    return { routes, site: site(deps, true, routes, pages), adminSite: undefined }
  }
  const routes = routesOf(deps, false, clientRoutes(deps))
  const adminSite = site(deps, true, routesOf(deps, true, adminRoutes(deps)), [])
  return { routes, site: site(deps, false, routes, pages), adminSite }
}

function clientRoutes(deps: HttpDeps): AnyElysia[] {
  const polls = new Polls(deps.door, deps.hub)
  return [
    realtimeRoutes(deps),
    streamRoutes(deps),
    pollRoutes(deps, polls),
    sendRoutes(deps, polls),
    ticketRoutes(deps),
    meRoutes(deps),
    statusRoutes(deps),
  ]
}

function adminRoutes(deps: HttpDeps): AnyElysia[] {
  return [
    connectionRoutes(deps),
    userRoutes(deps),
    roomRoutes(deps),
    publishRoutes(deps),
    tokenRoutes(deps),
    drainRoutes(deps),
  ]
}

/**
 * Routes with what holds for all of them. Hooks are local: in somebody's application they touch nothing but our own
 * routes, and the host's errors stay its own.
 */
function routesOf(deps: HttpDeps, admin: boolean, parts: readonly AnyElysia[]): AnyElysia {
  const { border } = deps
  const app: AnyElysia = new Elysia()
  const answer = fallback(deps, { routes: () => app.routes, admin })
  app
    .onError(({ error, code, request }) => border.failure(request, error, code))
    .mapResponse(({ responseValue, request, set }) =>
      responseValue === undefined || responseValue instanceof Response
        ? undefined
        : border.answer(request, responseValue, Number(set.status ?? 200)),
    )
    .use(healthRoutes(deps))
    .onTransform(({ request }) => checkHost(request))
  for (const part of parts) app.use(part)
  return app.all('/realtime/*', ({ request }) => answer(request), { detail: { hide: true } })
}

function checkHost(request: Request): void {
  if (!hostIsClear(request)) throw unclearHost()
}

/** What people open in a browser. */
function pagesOf(deps: HttpDeps, sign: SignToken | undefined): AnyElysia[] {
  const pages = [clientScript()]
  if (deps.hub.config.web.start_page) pages.push(startPage(), developmentRoutes(deps, sign))
  return pages
}

/** Routes as an application that answers everything. */
function site(deps: HttpDeps, admin: boolean, routes: AnyElysia, pages: readonly AnyElysia[]): AnyElysia {
  const { border } = deps
  // By default the router looks for the path from the eleventh character of the URL: with a short host it would be
  // somewhere else than anybody who reads the path thinks.
  const app: AnyElysia = new Elysia({ handler: { standardHostname: false } })
  const answer = fallback(deps, { routes: () => app.routes, admin })
  app
    .onError(({ error, code, request }) =>
      code === 'NOT_FOUND' ? answer(request) : border.failure(request, error, code),
    )
    .use(routes)
    .onTransform(({ request }) => checkHost(request))
    .use(swaggerRoutes(deps, routes))
  for (const page of pages) app.use(page)
  return app
}
