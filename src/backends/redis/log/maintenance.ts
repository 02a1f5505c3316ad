/** Housekeeping: forgets topics that have been empty for so long that nobody can ask for what they had. */
import type { CursorClock } from '../../../core/cursor-clock.ts'
import type { Log } from '../../../core/log.ts'
import { reasonOf } from '../failures.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { Script } from '../script.ts'

export interface MaintenanceOptions {
  readonly primary: Primary
  readonly keys: Keys
  readonly clock: CursorClock
  /** Microseconds for which topics are remembered that are empty now. */
  readonly horizon: number
  /** Milliseconds between two steps. Default {@link INTERVAL_MS}. */
  readonly intervalMs: number | undefined
  readonly log: Log
}

/** Milliseconds between two steps, by each instance. */
const INTERVAL_MS = 10_000
/** Topics that one step looks at: a fraction of a millisecond of Redis. */
const STEP = 200

/**
 * Looks at some topics of the log, and where it was before. The highest last cursor of those that it forgets is
 * remembered: positions before it are not good any more, in any topic.
 *
 * KEYS: the log. ARGV: the epoch; the caller's clock in microseconds; the horizon in microseconds; what comes before keys;
 * topics to look at; where to begin. Answers where to go on.
 */
const FORGET = new Script(`
local log = KEYS[1]
local held = redis.call('HMGET', log, 'epoch', 'forgotten')
if held[1] ~= ARGV[1] then return 'fenced' end
local time = redis.call('TIME')
local now = math.min(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[2]))
local forgotten = tonumber(held[2] or 0)
local page = redis.call('HSCAN', log, ARGV[6], 'MATCH', 't:*', 'COUNT', ARGV[5])
for i = 1, #page[2], 2 do
  local last = tonumber(string.match(page[2][i + 1], '^%d+'))
  local stream = ARGV[4] .. 's:' .. string.sub(page[2][i], 3)
  if last < now - tonumber(ARGV[3]) and redis.call('EXISTS', stream) == 0 then
    redis.call('HDEL', log, page[2][i])
    if last > forgotten then forgotten = last end
  end
end
if forgotten > tonumber(held[2] or 0) then redis.call('HSET', log, 'forgotten', string.format('%.0f', forgotten)) end
return page[1]
`)

export class Maintenance {
  private readonly options: MaintenanceOptions
  private readonly timer: ReturnType<typeof setInterval>
  private place = '0'

  constructor(options: MaintenanceOptions) {
    this.options = options
    this.timer = setInterval(() => {
      this.step().catch((error) => options.log.debug('redis_maintenance_failed', { reason: reasonOf(error) }))
    }, options.intervalMs ?? INTERVAL_MS)
    this.timer.unref()
  }

  /** Looks at a bounded number of topics. */
  async step(): Promise<void> {
    const { clock, horizon, keys, primary } = this.options
    const { place } = this
    this.place = String(
      await primary.ask((redis, epoch) =>
        FORGET.run(redis, [keys.log], [epoch, clock.now(), horizon, keys.prefix, STEP, place]),
      ),
    )
  }

  stop(): void {
    clearInterval(this.timer)
  }
}
