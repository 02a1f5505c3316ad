/**
 * The epoch: one life of the data in Redis. It ends when Redis was restarted, failed over, or lost its keys, because the
 * end of what was written may then be missing. Every script names the epoch it believes in and does nothing in another
 * one; whoever is told so comes here.
 */
import { Script } from './script.ts'

/** What a script answers that was given another epoch than the data's. */
export const FENCED = 'fenced'

export interface Epoch {
  /** Random, given by whoever came first. */
  readonly name: string
  /** The highest cursor issued when it was read. */
  readonly last: number
  /** Since when the log is without a hole. */
  readonly since: number
  /** The highest cursor of the epoch before that its data knew of: what was issued above it is lost. */
  readonly floor: number
}

/**
 * Begins an epoch where the data has none, or one of another run of Redis. An instance that lived through the epoch before
 * reports, once, the highest cursor that it has seen: where that is above the floor, messages were lost, and nobody can
 * be told any more that he has missed nothing. Where no such instance begins the epoch, and Redis does not write its
 * data to the disk with every command, that has to be feared as well.
 *
 * KEYS: the log. ARGV: the run; a name for a new epoch; the last known epoch or nothing; the caller's clock in
 * microseconds; the highest cursor it has seen; 1 where nothing is lost with a restart.
 */
export const FENCE = new Script(`
local log, run, fresh, known = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local clock = math.min(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[4]))
local seen, durable = tonumber(ARGV[5]), ARGV[6] == '1'
local function text(number) return string.format('%.0f', number) end
local held = redis.call('HMGET', log, 'epoch', 'run', 'last', 'since', 'floor')
local epoch = held[1]
local last, since, floor = tonumber(held[3] or 0), tonumber(held[4] or 0), tonumber(held[5] or 0)
local lost = known ~= '' and known ~= epoch and seen > floor
local changed = lost
if not epoch then
  epoch, changed = fresh, true
  last = math.max(clock, seen) + 1
  since, floor = last, 0
elseif held[2] ~= run then
  changed = true
  floor = last
  last = math.max(last, clock, seen) + 1
  if known == '' and not durable then since = last end
  lost = known ~= '' and seen > floor
  epoch = fresh
end
if lost then since, last = math.max(since, seen), math.max(last, seen) end
if changed then
  redis.call('HSET', log, 'epoch', epoch, 'run', run, 'last', text(last), 'since', text(since), 'floor', text(floor))
end
return { epoch, text(last), text(since), text(floor) }
`)

export function parseEpoch(reply: unknown): Epoch {
  const [name, last, since, floor] = reply as [string, string, string, string]
  return { name, last: Number(last), since: Number(since), floor: Number(floor) }
}
