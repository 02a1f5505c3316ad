/** The door to the configuration: its type, and how to get one. */

export { parseDuration } from './config/durations.ts'
export {
  type ConfigInput,
  configFrom,
  defaultConfig,
  type Loaded,
  loadConfig,
  type Mode,
  newSecret,
  type Sources,
} from './config/load.ts'
export { ConfigError } from './config/problems.ts'
export { DEFAULT_ROOM_RULE, type RoomRule } from './config/rooms.ts'
export { CONFIG_SCHEMA, type Config } from './config/schema.ts'
export { FLAG_NAMES, type Flags } from './config/sources.ts'
