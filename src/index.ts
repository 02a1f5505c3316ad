/** What a library user imports. */

// ── For those who run a server themselves ──
export { type RunningServer, type ServerOptions, startServer } from './app.ts'
export { type Config, type ConfigInput, configFrom, loadConfig } from './config.ts'
export { AckTimeout } from './core/asks.ts'
export type { Identity } from './core/identity.ts'
export type { Log, LogFields } from './core/log.ts'
export type { To } from './core/publication.ts'
export { type ErrorName, TidingsError } from './protocol/errors.ts'
export { type HandlerContext, type Tidings, type TidingsOptions, tidings } from './tidings.ts'
