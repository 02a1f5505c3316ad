/** A server of a test's own: a free port, a store that forgets, a log that is kept. */
import { startServer } from '../app.ts'
import { type ConfigInput, configFrom } from '../config.ts'
import type { Hub } from '../core/hub.ts'
import { type Tidings, tidings } from '../tidings.ts'
import { CapturedLog, type LogLine } from './captured-log.ts'
import type { QueueingClient, TestClient } from './client.ts'
import { httpAddressOf } from './http.ts'
import { connectPoll } from './poll.ts'
import { connectSse } from './sse.ts'
import { TEST_SECRET, tokenFor, type Who } from './tokens.ts'
import { addressOf, type ConnectOptions, connectWebSocket } from './websocket.ts'

export interface TestServerOptions {
  /** Settings that differ from a test's. */
  readonly config?: ConfigInput
  /** Default: development. In production a secret of one's own is needed. */
  readonly mode?: 'development' | 'production'
  /** The handlers to try. */
  readonly app?: Tidings
}

export interface TestServer extends AsyncDisposable {
  /** Where it listens, for example `http://127.0.0.1:49152`. */
  readonly url: string
  /** The application that was given, or an empty one: `publish` and `emitWithAck` work on it. */
  readonly app: Tidings
  /** The core, to look at what no client can see. */
  readonly hub: Hub
  /** The log so far: lines of every level. */
  readonly lines: readonly LogLine[]
  /** The log as it would have been printed. */
  readonly output: string
  /** The first log line of this event with these fields, written already or from now on. */
  logged(event: string, fields?: Readonly<Record<string, unknown>>): Promise<LogLine>
  token(who: Who): Promise<string>
  /** Connects and resolves after `welcome`; rejects with a `RefusedError`. */
  connect(options: ConnectOptions): Promise<TestClient>
  /** Reads the keys again. */
  reloadKeys(): Promise<void>
  /** Drains and stops; once, however often it is called. */
  stop(reason?: string): Promise<void>
}

/**
 * What differs from the defaults: all clients of a test come from one address, and nobody waits for a drain that is not
 * what is tested.
 */
const TEST_CONFIG = {
  server: { host: '127.0.0.1', port: 0 },
  auth: { secret: TEST_SECRET },
  store: { path: ':memory:' },
  limits: { per_ip: 0, connects_per_second: 0 },
  drain: { window_ms: 0 },
} as const satisfies ConfigInput

/** The settings of a test server with these changes. */
export function testConfig(changes: ConfigInput = {}): ConfigInput {
  const { server, auth, store, limits, drain } = TEST_CONFIG
  return {
    ...changes,
    server: { ...server, ...changes.server },
    auth: { ...auth, ...changes.auth },
    store: { ...store, ...changes.store },
    limits: { ...limits, ...changes.limits },
    drain: { ...drain, ...changes.drain },
  }
}

/** Starts a server. `await using` stops it and closes every client that is still there. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const app = options.app ?? tidings()
  const captured = new CapturedLog()
  const { mode = 'development' } = options
  const config = configFrom(testConfig(options.config), mode)
  const server = await startServer(config, { app, mode, log: captured.log })
  let stopped: Promise<void> | undefined
  const stop = (reason = 'test_over') => {
    stopped ??= server.stop(reason)
    return stopped
  }
  const token = (who: Who) => tokenFor(config.auth.secret ?? TEST_SECRET, who)
  return {
    url: server.url,
    app,
    hub: server.hub,
    lines: captured.lines,
    get output() {
      return captured.text
    },
    logged: (event, fields) => captured.logged(event, fields),
    token,
    connect: async (who) => connect(server.url, who, await token(who)),
    reloadKeys: () => server.reloadKeys(),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Connects over the transport that is asked for. */
export function connect(serverUrl: string, options: ConnectOptions, token: string): Promise<QueueingClient> {
  switch (options.transport) {
    case 'sse':
      return connectSse(httpAddressOf(serverUrl, '/realtime/sse', options, token), options)
    case 'poll':
      return connectPoll(httpAddressOf(serverUrl, '/realtime/poll', options, token), options)
    default:
      return connectWebSocket(addressOf(serverUrl, options, token), options)
  }
}
