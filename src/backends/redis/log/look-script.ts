/** What the log knows of some topics, after removing what has become too old in them. */
import { Script } from '../script.ts'
import { EXPIRE } from './expire.ts'

/**
 * KEYS: the log. ARGV: the epoch; the caller's clock in microseconds; what comes before keys; the topics.
 *
 * Answers: the highest cursor issued, since when the log is complete, the highest last cursor of a topic that was
 * forgotten, this moment; then for each topic its last cursor, the last one removed, and the number of its last message.
 */
export const LOOK = new Script(`
local log = KEYS[1]
local function text(number) return string.format('%.0f', number) end
${EXPIRE}
local fields = { 'epoch', 'last', 'since', 'forgotten' }
for i = 4, #ARGV do fields[#fields + 1] = 't:' .. ARGV[i] end
local held = redis.call('HMGET', log, unpack(fields))
if held[1] ~= ARGV[1] then return 'fenced' end
local time = redis.call('TIME')
local now = math.min(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[2]))
local answer = { held[2], held[3], held[4] or '0', text(now) }
for i = 4, #ARGV do
  local last, keepMs, _, count = string.match(held[i + 1] or '', '^(%d+) (%d+) (%d+) (%d+)$')
  -- A stream that outlived its log has no age: nothing of it is promised, and nothing is removed.
  local oldest = expire(ARGV[3] .. 's:' .. ARGV[i], keepMs and now / 1000 - tonumber(keepMs) or 0)
  answer[#answer + 1] = last or '0'
  answer[#answer + 1] = oldest and oldest[2][2] or last or '0'
  answer[#answer + 1] = count or '0'
end
return answer
`)

/** What the log knows. Everything is a cursor. */
export interface Known {
  readonly last: number
  readonly since: number
  readonly forgotten: number
  readonly now: number
  readonly topics: readonly KnownTopic[]
}

export interface KnownTopic {
  readonly last: number
  readonly trimmed: number
  /** The number of its last message. */
  readonly count: number
}

export function parseKnown(reply: unknown): Known {
  const [last = 0, since = 0, forgotten = 0, now = 0, ...rest] = (reply as string[]).map(Number)
  const topics: KnownTopic[] = []
  for (let n = 0; n < rest.length; n += 3) {
    topics.push({ last: rest[n] ?? 0, trimmed: rest[n + 1] ?? 0, count: rest[n + 2] ?? 0 })
  }
  return { last, since, forgotten, now, topics }
}
