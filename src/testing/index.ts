/**
 * For tests of your own handlers: a server of a test's own, tokens, and clients that queue what they receive. Knows no
 * test runner.
 */

export type { LogLine } from './captured-log.ts'
export { type Closed, type Frame, type OutgoingFrame, RefusedError, type TestClient } from './client.ts'
export { startTestServer, type TestServer, type TestServerOptions } from './server.ts'
export { TEST_SECRET, type Who } from './tokens.ts'
export type { ConnectOptions } from './websocket.ts'
