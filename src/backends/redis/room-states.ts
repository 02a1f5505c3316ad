/** The rooms' shared states. A change is merged here and written where nobody else has changed the state meanwhile. */
import type { Redis } from 'ioredis'
import { mergePatch } from '../../core/merge-patch.ts'
import type { RoomState, RoomStates } from '../../core/ports/backend.ts'
import { TidingsError } from '../../protocol/errors.ts'
import type { Keys } from './keys.ts'
import type { Primary } from './primary.ts'
import { Script } from './script.ts'

export interface RoomStatesOptions {
  readonly primary: Primary
  readonly keys: Keys
  /** Bytes of one state as JSON: it is sent whole, so it is bounded like a message. */
  readonly maxStateBytes: number
}

/** Milliseconds for which an abandoned room keeps its state: a meeting goes on the next day. */
const KEPT_MS = 24 * 60 * 60 * 1000
/** Milliseconds in which every occupied room's state is told once that it is still needed. */
const ROUND_MS = 60 * 60 * 1000
/** Milliseconds between two steps of that. */
const STEP_MS = 1000
/** Changes that may come in between before a change is given up: many more than people make at a time. */
const MAX_TRIES = 20

/** KEYS: the state. ARGV: the version that it was made from; the new version; the state; milliseconds kept. */
const REPLACE = new Script(`
local held = redis.call('HGET', KEYS[1], 'version')
if (held or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

export class RedisRoomStates implements RoomStates {
  private readonly options: RoomStatesOptions
  private readonly present = new Set<string>()
  private readonly timer: ReturnType<typeof setInterval>
  private walk: Iterator<string> | undefined

  constructor(options: RoomStatesOptions) {
    this.options = options
    this.timer = setInterval(() => this.step(), STEP_MS)
    this.timer.unref()
  }

  async get(room: string): Promise<RoomState | undefined> {
    const { keys, primary } = this.options
    return await primary.ask((redis) => read(redis, keys.state(room)))
  }

  async patch(room: string, patch: unknown, ifVersion: number | undefined): Promise<RoomState> {
    const { keys, primary } = this.options
    const key = keys.state(room)
    for (let n = 0; n < MAX_TRIES; n++) {
      const held = await this.get(room)
      const version = held?.version ?? 0
      if (ifVersion !== undefined && ifVersion !== version) {
        const details = { version }
        throw new TidingsError('version_conflict', `The state has version ${version}, not ${ifVersion}`, { details })
      }
      const state = mergePatch(held?.state ?? {}, patch)
      const json = this.serialise(state)
      const next = version + 1
      const done = await primary.ask((redis) => REPLACE.run(redis, [key], [version, next, json, KEPT_MS]))
      if (done === 1) return { state, version: next }
    }
    throw new TidingsError('unavailable', 'Too many are changing this state', { retryAfterMs: STEP_MS })
  }

  occupied(room: string, occupied: boolean): void {
    if (occupied) this.present.add(room)
    else this.present.delete(room)
    this.keep(room)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private serialise(state: unknown): string {
    const { maxStateBytes } = this.options
    const json = JSON.stringify(state) ?? 'null'
    const bytes = Buffer.byteLength(json)
    if (bytes <= maxStateBytes) return json
    throw new TidingsError('payload_too_large', `The state would be ${bytes} of ${maxStateBytes} bytes`)
  }

  /** Each room that is occupied here is kept by this instance; one that dies just does not do so any more. */
  private step(): void {
    for (let left = Math.ceil(this.present.size / (ROUND_MS / STEP_MS)); left > 0; left--) {
      this.walk ??= this.present.values()
      const { done, value } = this.walk.next()
      if (done) this.walk = undefined
      else this.keep(value)
    }
  }

  private keep(room: string): void {
    const { keys, primary } = this.options
    // If that fails it is done again in an hour, a day before it is needed.
    primary.ask((redis) => redis.pexpire(keys.state(room), KEPT_MS)).catch(() => {})
  }
}

async function read(redis: Redis, key: string): Promise<RoomState | undefined> {
  const [version, state] = await redis.hmget(key, 'version', 'state')
  if (version === null || version === undefined || typeof state !== 'string') return undefined
  return { version: Number(version), state: JSON.parse(state) }
}
