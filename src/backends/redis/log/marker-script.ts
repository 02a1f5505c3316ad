/**
 * Sends a marker round: from here over the bus to the one who asks. When it arrives, everything that was published before
 * it has arrived. It moves the time on where nobody publishes, so that positions do not grow old.
 */
import { Script } from '../script.ts'

/** Topics whose last cursors one marker brings. */
export const MARKER_TOPICS = 1000

/**
 * KEYS: the log. ARGV: the epoch; the caller's clock in microseconds; the caller's own channel; the marker's name; topics.
 * Answers: what Redis said where it takes no writes, or nothing; then the topics' last cursors.
 */
export const MARKER = new Script(`
local log = KEYS[1]
local fields = { 'epoch', 'last', 'since' }
for i = 5, #ARGV do fields[#fields + 1] = 't:' .. ARGV[i] end
local held = redis.call('HMGET', log, unpack(fields))
if held[1] ~= ARGV[1] then return 'fenced' end
local time = redis.call('TIME')
local now = math.min(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[2]))
local last, failure = held[2], ''
local moved = redis.pcall('HSET', log, 'last', string.format('%.0f', math.max(tonumber(last), now)))
if type(moved) == 'table' and moved.err then failure = moved.err else last = redis.call('HGET', log, 'last') end
redis.call('PUBLISH', ARGV[3], '1\\nM\\n' .. ARGV[1] .. '\\n' .. ARGV[4] .. '\\n' .. last .. '\\n' .. held[3])
local answer = { failure }
for i = 5, #ARGV do answer[#answer + 1] = string.match(held[i - 1] or '', '^%d+') or '0' end
return answer
`)
