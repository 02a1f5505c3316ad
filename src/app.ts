/** The composition root: the only place that knows every part. Makes a server of a configuration and an application. */
import { hostname } from 'node:os'
import type { Server } from 'bun'
import type { AnyElysia } from 'elysia'
import { authentication } from './auth/authentication.ts'
import { createTrustedProxies } from './auth/proxies.ts'
import { createRoomRules } from './auth/rules.ts'
import { TicketOffice } from './auth/tickets.ts'
import { createVerifier } from './auth/verify.ts'
import { createEmbeddedBackend } from './backends/embedded/backend.ts'
import { type Config, type ConfigInput, configFrom } from './config.ts'
import { type Application, emptyApplication } from './core/application.ts'
import { type Clock, systemClock } from './core/clock.ts'
import { aborted, sleep } from './core/drain.ts'
import { Hub } from './core/hub.ts'
import type { Log } from './core/log.ts'
import type { Backend, LocalView } from './core/ports/backend.ts'
import { builtIns } from './handlers/index.ts'
import { MAX_BODY_FRAMES } from './http/body.ts'
import type { SignToken } from './http/development.ts'
import { ListenError } from './http/listen-error.ts'
import { adminListener, type Listener, publicListener } from './http/listeners.ts'
import { type Neighbours, type Readiness, readinessOf } from './http/readiness.ts'
import { httpRoutes } from './http/routes.ts'
import { createLog } from './telemetry/log.ts'
import { logObserver } from './telemetry/log-observer.ts'
import { QuietCollection } from './telemetry/quiet-collection.ts'
import { Door } from './transports/handshake.ts'
import { type SocketData, websocketHandler } from './transports/websocket.ts'

/** What `tidings()` makes: an application that wants to know the server it runs in. */
export interface Mountable {
  readonly application: Application
  bind(hub: Hub): void
}

export interface ServerOptions {
  /** What an application adds. */
  readonly app?: Mountable
  readonly mode: 'development' | 'production'
  /** Lines as `config.log` says, to standard output, where absent. */
  readonly log?: Log
  /** Other processes on the same port, which is then shared. Absent: the port is this process's own. */
  readonly neighbours?: Neighbours
}

export interface RunningServer {
  /** Where it listens, for example `http://127.0.0.1:3000`. */
  readonly url: string
  /** Where the admin routes are, if they have a listener of their own. */
  readonly adminUrl: string | undefined
  readonly hub: Hub
  /** Of this process alone. */
  readiness(): Readiness
  /** Drains and stops; resolves when the last connection is gone or the deadline has passed. */
  stop(reason?: string): Promise<void>
  /** Reads keys again, without a disconnect; from `auth` where the settings themselves have changed. */
  reloadKeys(auth?: Config['auth']): Promise<void>
}

/**
 * Seconds within which a request must be complete: what comes slower holds a socket for nothing. The runtime rounds up to
 * fours, and 15 is what is promised.
 */
const REQUEST_TIMEOUT_S = 12

/** Milliseconds in which the last answers may reach their clients before their sockets are cut. */
const FAREWELL_MS = 500

interface Assembly {
  readonly app: Application | undefined
  readonly log: Log
  readonly mode: ServerOptions['mode']
  readonly neighbours?: Neighbours | undefined
}

/** Everything but the listener, for our own server and for somebody's Elysia application. */
function assemble(config: Config, { app = emptyApplication(), log, mode, neighbours }: Assembly) {
  const clock = systemClock
  const verifier = createVerifier(config.auth, { log })
  const native: { server: Server<SocketData> | undefined } = { server: undefined }
  const collection = new QuietCollection(() => Bun.gc(true))
  const hub = new Hub({
    config,
    application: app,
    rules: createRoomRules(config.rooms, config.admin.jwt_role),
    native: { publish: (topic, data) => (native.server?.publish(topic, data) ?? 0) >= 0 },
    backend: backendFor(config, clock, log),
    builtIns,
    verify: (token) => verifier.verify(token),
    log,
    clock,
    observers: [logObserver(log), collection, { closed: (session, closing) => tickets.closed(session, closing) }],
  })
  const { revoked } = hub
  const tickets = new TicketOffice({ tickets: hub.backend.tickets, revoked, clock, resumeMs: config.session.resume_ms })
  const door = new Door({
    hub,
    authenticate: authentication(hub, app.authenticate, (error) => hub.reporter.report(error, 'authenticate')),
    allowedOrigins: config.server.allowed_origins,
    trustedProxies: createTrustedProxies(config.server.trusted_proxies),
    cookieName: config.auth.cookie,
    tickets,
  })
  const http = httpRoutes({
    hub,
    door,
    log,
    signForAnyone: mode === 'development' ? signer(config) : undefined,
    neighbours,
  })
  const release = async () => {
    hub.stop()
    collection.stop()
    tickets.close()
    verifier.close?.()
    await hub.backend.close()
  }
  /** @param deadline ends the wait for the application's hooks. */
  const stop = async (deadline?: AbortSignal) => {
    const hooks = hub.reporter.run('stop', app.hooks.onStop, (hook) => hook()).then(() => true)
    const finished = deadline === undefined ? await hooks : await Promise.race([hooks, aborted(deadline)])
    if (!finished) hub.reporter.report(new Error('onStop has not finished within drain.deadline_ms'), 'stop')
    await release()
  }
  /** To be told of the server as soon as it listens: deliveries go through its native topics. */
  const listening = (server: Server<SocketData>) => {
    native.server = server
  }
  return { hub, http, verifier, listening, stop, release }
}

/** Starts a server. Rejects where the port is taken, a key cannot be read, or the application's `onStart` throws. */
export async function startServer(config: Config, options: ServerOptions): Promise<RunningServer> {
  const { app, log = createLog(config.log), mode, neighbours } = options
  const shared = neighbours !== undefined
  const { hub, http, verifier, listening, stop, release } = assemble(config, {
    app: app?.application,
    log,
    mode,
    neighbours,
  })
  app?.bind(hub)
  let adminServer: Server<SocketData> | undefined
  let server: Server<SocketData>
  try {
    await hub.begin()
    await verifier.reload()
    for (const hook of app?.application.hooks.onStart ?? []) await hook()
    // The admin's first: where its address is taken, no client has come in yet.
    adminServer = listenForAdmins(config, http.adminSite, shared)
    server = listen(http.site, config, { ...publicListener(config), shared, websocket: websocketHandler(hub) })
  } catch (error) {
    // Whoever cannot start leaves nothing behind: no timer, no lock on the store.
    await adminServer?.stop(true)
    await release()
    throw error
  }
  listening(server)
  const url = urlOf(server)
  const adminUrl = adminServer && urlOf(adminServer)
  const instance = hub.peers.here
  log.info('server_started', { url, ...(adminUrl && { admin_url: adminUrl }), mode, ...(instance && { instance }) })
  return {
    url,
    adminUrl,
    hub,
    readiness: () => readinessOf(hub),
    reloadKeys: (auth = config.auth) => verifier.reload(auth),
    async stop(reason = 'shutdown') {
      const { delay_ms, deadline_ms } = config.drain
      const abort = new AbortController()
      const deadline = setTimeout(() => abort.abort(), deadline_ms)
      hub.refuseNew()
      log.info('server_draining', { reason, connections: hub.registry.size })
      if (delay_ms > 0) await sleep(delay_ms, abort.signal)
      await hub.drain(reason, abort.signal)
      await stop(abort.signal)
      // Answers that are still being written say goodbye to those who poll.
      await Promise.race([server.stop(), sleep(FAREWELL_MS, abort.signal)])
      clearTimeout(deadline)
      await server.stop(true)
      await adminServer?.stop(true)
      log.info('server_stopped', { reason })
    },
  }
}

/**
 * Adds a server to somebody's Elysia application, which listens: sockets come through Elysia's own dispatcher.
 * @throws ConfigError where the settings are wrong.
 */
export function mountIn(
  app: AnyElysia,
  application: Application,
  input: ConfigInput,
  bind: (hub: Hub) => void,
): AnyElysia {
  const mode = Bun.env['TIDINGS_ENV'] === 'development' ? 'development' : 'production'
  const config = configFrom(input, mode, { keysOptional: application.authenticate.length > 0 })
  const log = createLog(config.log)
  const { hub, http, verifier, listening, stop } = assemble(config, { app: application, log, mode })
  let adminServer: Server<SocketData> | undefined
  bind(hub)
  // Elysia puts its dispatcher between these options and the callbacks: the options are what counts here.
  Object.assign(app.config, { websocket: { ...websocketHandler(hub), ...app.config.websocket } })
  return app
    .use(http.routes)
    .onStart(async ({ server }) => {
      listening(server as Server<SocketData>)
      adminServer = listenForAdmins(config, http.adminSite, false)
      await hub.begin()
      await verifier.reload()
      for (const hook of application.hooks.onStart) await hook()
    })
    .onStop(async () => {
      await adminServer?.stop(true)
      await stop()
    })
}

/** Signs with the configured secret, where there is one. */
function signer({ auth: { secret } }: Config): SignToken | undefined {
  if (secret === undefined) return undefined
  return async (claims, seconds) => (await import('./auth/issue.ts')).issueToken(secret, claims, seconds)
}

/** Milliseconds for which the log remembers topics that are empty now, at least: a resume a day later is judged rightly. */
const MIN_HORIZON_MS = 24 * 60 * 60 * 1000

/** Redis where the configuration names one, else a file and memory. */
function backendFor(config: Config, clock: Clock, log: Log): (local: LocalView) => Backend {
  const { store, inbox, rooms, limits, redis } = config
  const ages = [inbox.max_age, ...rooms.map(({ history }) => history.max_age)]
  const common = {
    idempotencyMs: store.idempotency_ms,
    horizonMs: Math.max(MIN_HORIZON_MS, ...ages),
    maxStateBytes: limits.max_message_bytes,
    clock,
    log,
  }
  if (redis.url === undefined) {
    return createEmbeddedBackend({ ...common, path: store.path, durability: store.durability })
  }
  // Its client takes as long to load as all the rest: nobody waits for it who has no use for it.
  const redisBackend = require('./backends/redis/backend.ts') as typeof import('./backends/redis/backend.ts')
  return redisBackend.createRedisBackend({
    ...common,
    url: redis.url,
    prefix: redis.prefix,
    minReplicas: redis.min_replicas,
    instance: hostname(),
    maxMessageBytes: Math.max(MIN_BUS_BYTES, limits.max_message_bytes * MAX_STORED_GROWTH + MAX_STORED_HEAD_BYTES),
  })
}

/** How much longer a frame can get as the JSON in which it is stored: an escaped control character is six bytes. */
const MAX_STORED_GROWTH = 6
/** 8 MiB: what other instances answer, such as a poll that they hold, is longer than one message. */
const MIN_BUS_BYTES = 8 * 1024 * 1024
/** Bytes of what the server adds to a frame: names of 256 characters, its cursor, its place in the log. */
const MAX_STORED_HEAD_BYTES = 16_384

interface Listening extends Listener {
  readonly websocket?: ReturnType<typeof websocketHandler>
  /** Whether neighbours listen there, too. */
  readonly shared: boolean
}

/** @throws ListenError where the address is taken or none of this machine. */
function listen(site: AnyElysia, config: Config, { setting, shared, ...address }: Listening): Server<SocketData> {
  try {
    site.listen({
      ...address,
      // Two servers that know nothing of each other would share the port silently, each with half of the clients.
      reusePort: shared,
      development: false,
      idleTimeout: REQUEST_TIMEOUT_S,
      maxRequestBodySize: config.limits.max_message_bytes * MAX_BODY_FRAMES,
    })
  } catch (error) {
    throw new ListenError(address.hostname, address.port, setting, error)
  }
  const server = site.server as Server<SocketData> | null
  if (server === null) throw new Error('The server did not start to listen')
  return server
}

function listenForAdmins(config: Config, site: AnyElysia | undefined, shared: boolean): Server<SocketData> | undefined {
  const listener = adminListener(config)
  return listener && site && listen(site, config, { ...listener, shared })
}

function urlOf(server: Server<SocketData>): string {
  const { hostname: name, port } = server
  const host = name?.includes(':') ? `[${name}]` : name === '0.0.0.0' ? '127.0.0.1' : name
  return `http://${host}:${port}`
}
