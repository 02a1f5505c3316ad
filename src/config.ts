/** The door to the configuration: its type, and how to get one. */

export { DEFAULT_ROOM_RULE, type RoomRule } from './config/rooms.ts'
export { type Algorithm, CONFIG_SCHEMA, type Config } from './config/schema.ts'
