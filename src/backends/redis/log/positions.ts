/** How far each device has come. Acknowledgements come with every message: they are gathered and written a moment later. */
import type { Positions } from '../../../core/ports/log.ts'
import { Gathered } from '../gathered.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { Script } from '../script.ts'

export interface PositionsOptions {
  readonly primary: Primary
  readonly keys: Keys
  /** No position is forgotten that could still be recovered from. */
  readonly horizonMs: number
}

/** Milliseconds for which acknowledgements are gathered: after a crash, devices get this much again. */
const GATHER_MS = 200
/** Milliseconds until positions that could not be written are tried again. */
const RETRY_MS = 1000
/** Positions in one script. */
const MAX_ROWS = 200
/** Positions that wait for Redis, at most. Devices past it get more of their inbox again. */
const MAX_GATHERED = 100_000
/** Milliseconds after which a user of whom no device comes back is forgotten: a season. */
const KEEP_MS = 90 * 86_400_000

/** KEYS: the log; then a user's positions for each row. ARGV: the epoch; milliseconds kept; device and cursor of each row. */
const ACKNOWLEDGE = new Script(`
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'fenced' end
for row = 2, #KEYS do
  local device, cursor = ARGV[row * 2 - 1], ARGV[row * 2]
  local held = redis.call('HGET', KEYS[row], device)
  if not held or tonumber(held) < tonumber(cursor) then redis.call('HSET', KEYS[row], device, cursor) end
  redis.call('PEXPIRE', KEYS[row], ARGV[2])
end
return 'done'
`)

/** KEYS: the log; then users' positions. ARGV: the epoch. Answers device and cursor, in turn, of everything each user has. */
const HELD = new Script(`
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'fenced' end
local held = {}
for n = 2, #KEYS do held[n - 1] = redis.call('HGETALL', KEYS[n]) end
return held
`)

interface Acknowledged {
  readonly user: string
  readonly device: string
  cursor: number
}

export class DevicePositions {
  private readonly options: PositionsOptions
  private readonly keepMs: number
  /** What is not in Redis yet, by user and device. */
  private readonly gathered = new Map<string, Map<string, Acknowledged>>()
  private readonly asked: Gathered<string, Map<string, number>>
  private readonly introduced: Gathered<Acknowledged, undefined>
  private count = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private writing: Promise<void> | undefined

  constructor(options: PositionsOptions) {
    this.options = options
    this.keepMs = Math.max(KEEP_MS, 2 * options.horizonMs)
    this.asked = new Gathered((users) => this.read(users))
    this.introduced = new Gathered(async (rows) => {
      await this.send(rows)
      return rows.map(() => undefined)
    })
  }

  async of(userId: string, deviceId: string): Promise<Positions> {
    // Before Redis is asked: what is written meanwhile is here no more, and may not be in the answer.
    const gathered = [...(this.gathered.get(userId)?.values() ?? [])]
    const held = await this.asked.ask(userId)
    for (const { device, cursor } of gathered) held.set(device, Math.max(cursor, held.get(device) ?? 0))
    return { own: held.get(deviceId), newest: held.size === 0 ? undefined : Math.max(...held.values()) }
  }

  acknowledge(user: string, device: string, cursor: number): void {
    let devices = this.gathered.get(user)
    const known = devices?.get(device)
    if (known !== undefined) {
      known.cursor = Math.max(known.cursor, cursor)
    } else if (this.count < MAX_GATHERED) {
      if (devices === undefined) {
        devices = new Map()
        this.gathered.set(user, devices)
      }
      devices.set(device, { user, device, cursor })
      this.count++
    }
    this.timer ??= setTimeout(() => void this.flush(), GATHER_MS)
  }

  /** Writes what was gathered of a device; resolves when Redis has it. Sent at once: before what is told after this. */
  async settle(userId: string, deviceId: string): Promise<void> {
    const row = this.gathered.get(userId)?.get(deviceId)
    if (row !== undefined) await this.keep([row])
  }

  /** Remembers a new device; resolves when Redis has it. Where that fails, it is tried again with what is gathered. */
  async introduce(user: string, device: string, cursor: number): Promise<void> {
    this.acknowledge(user, device, cursor)
    await this.introduced.ask({ user, device, cursor })
  }

  /** Writes what was gathered. What cannot be written stays, and is tried again. */
  async flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    await this.writing
    this.writing = this.write()
    await this.writing
  }

  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private async write(): Promise<void> {
    const rows = [...this.gathered.values()].flatMap((devices) => [...devices.values()])
    for (let n = 0; n < rows.length; n += MAX_ROWS) {
      try {
        await this.keep(rows.slice(n, n + MAX_ROWS))
      } catch {
        this.timer ??= setTimeout(() => void this.flush(), RETRY_MS)
        return
      }
    }
    if (this.count > 0) this.timer ??= setTimeout(() => void this.flush(), GATHER_MS)
  }

  /** Writes some of what was gathered. Until it is in Redis, a reader finds it here. */
  private async keep(rows: readonly Acknowledged[]): Promise<void> {
    const written = rows.map(({ cursor }) => cursor)
    await this.send(rows)
    // One may have moved on since: then it is written again.
    for (const [place, row] of rows.entries()) if (row.cursor === written[place]) this.forget(row)
  }

  /** What Redis has of these users, by device. */
  private async read(users: readonly string[]): Promise<Map<string, number>[]> {
    const { keys, primary } = this.options
    const names = [keys.log, ...users.map((user) => keys.positions(user))]
    const held = await primary.ask((redis, epoch) => HELD.run(redis, names, [epoch]))
    return (held as string[][]).map(parseHeld)
  }

  private async send(rows: readonly Acknowledged[]): Promise<void> {
    const { keys, primary } = this.options
    const names = [keys.log, ...rows.map(({ user }) => keys.positions(user))]
    const values = rows.flatMap(({ device, cursor }) => [device, cursor])
    await primary.ask((redis, epoch) => ACKNOWLEDGE.run(redis, names, [epoch, this.keepMs, ...values]))
  }

  private forget(row: Acknowledged): void {
    const { user, device } = row
    const devices = this.gathered.get(user)
    if (devices?.get(device) !== row) return
    devices.delete(device)
    this.count--
    if (devices.size === 0) this.gathered.delete(user)
  }
}

function parseHeld(answer: readonly string[]): Map<string, number> {
  const held = new Map<string, number>()
  for (let n = 0; n < answer.length; n += 2) held.set(answer[n] ?? '', Number(answer[n + 1]))
  return held
}
