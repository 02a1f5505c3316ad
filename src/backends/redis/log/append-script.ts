/**
 * Stores a batch of messages and tells of them, in one step: cursors are given, messages appended, trimmed and published
 * in one order, and what an instance hears on its subscriber's connection comes in that order too.
 */
import { Script } from '../script.ts'
import { EXPIRE } from './expire.ts'
import { INTEGERS } from './integers.ts'

/** Arguments of one message in a batch. */
export const ENTRY_ARGS = 9

/** Answers to one message of a batch, by their first letter. */
export const STORED = '+'
export const DUPLICATE = '='
export const REFUSED = '-'

/** The batch was given up by the one who asks: a later one of his has been stored. */
export const STALE = 'stale'
/** Nothing was stored; what Redis said follows. */
export const REFUSED_ALL = 'refused '

/**
 * KEYS: the log; the writer's last batch. ARGV: the epoch; the caller's clock in microseconds; the highest cursor it has
 * seen; the number of the batch; the caller's own channel; what comes before keys; milliseconds for which idempotency keys
 * are kept; then for each message: topic, messages kept, milliseconds kept, wall time, id, device or nothing, what the bus
 * tells of it besides, idempotency key or nothing, body.
 *
 * Answers one line for each message. A batch that was stored before, and whose answer was lost, is answered again.
 *
 * Of each topic the log knows four numbers: its last cursor, for how many milliseconds its messages are kept, when that
 * was last looked after, and how many messages it has had. Each message in a stream names the one before it, so that a
 * reader sees where something is missing, whatever removed it.
 */
export const APPEND = new Script(`
local log, writer = KEYS[1], KEYS[2]
local batch, channel, prefix = ARGV[4], ARGV[5], ARGV[6]
${INTEGERS}
${EXPIRE}
local fields, topics = { 'epoch', 'last', 'since' }, {}
for i = 8, #ARGV, ${ENTRY_ARGS} do
  local topic = ARGV[i]
  if not topics[topic] then
    fields[#fields + 1] = 't:' .. topic
    topics[topic] = { place = #fields }
  end
end
local held = redis.call('HMGET', log, unpack(fields))
if held[1] ~= ARGV[1] then return 'fenced' end

local before = redis.call('GET', writer)
if before then
  local line = string.find(before, '\\n', 1, true)
  local done = tonumber(string.sub(before, 1, line - 1))
  if done == tonumber(batch) then return string.sub(before, line + 1) end
  if done > tonumber(batch) then return '${STALE}' end
end

local time = redis.call('TIME')
local now = math.min(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[2]))
local nowMs = math.floor(now / 1000)
local last = math.max(tonumber(held[2]), tonumber(ARGV[3]))
local answers, wrote = {}, false

for i = 8, #ARGV, ${ENTRY_ARGS} do
  local topic, keep, keepMs, at, id = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local key, body = ARGV[i + 7], ARGV[i + 8]
  local known = topics[topic]
  if not known.last then
    local a, b, c, d = string.match(held[known.place] or '', '^(%d+) (%d+) (%d+) (%d+)$')
    known.last, known.keepMs, known.looked, known.count = a or '0', b, tonumber(c or 0), tonumber(d or 0)
  end
  local cursor = text(math.max(last + 1, now))
  local first, failure
  if key ~= '' then
    first = redis.pcall('SET', prefix .. 'i:' .. key, cursor .. ' ' .. id, 'NX', 'GET', 'PX', ARGV[7])
    if type(first) == 'table' then failure, first = first.err, nil end
    wrote = wrote or not failure
  end
  if first then
    answers[#answers + 1] = '${DUPLICATE}' .. first
  else
    local stream = prefix .. 's:' .. topic
    local count = text(known.count + 1)
    local function add()
      local added = redis.pcall('XADD', stream, 'MAXLEN', keep, cursor .. '-0',
        'p', known.last, 'n', count, 'a', at, 'i', id, 'd', ARGV[i + 5], 'b', body)
      return type(added) == 'table' and added.err or nil
    end
    if not failure then failure = add() end
    -- A stream that outlived its log: whatever it holds, nobody is promised it.
    if failure and string.find(failure, 'equal or smaller', 1, true) then
      redis.call('DEL', stream)
      failure = add()
    end
    if failure then
      if not wrote then return '${REFUSED_ALL}' .. failure end
      if key ~= '' then redis.call('DEL', prefix .. 'i:' .. key) end
      answers[#answers + 1] = '${REFUSED}' .. string.gsub(failure, '\\n', ' ')
    else
      wrote = true
      last = tonumber(cursor)
      redis.pcall('PUBLISH', prefix .. 't:' .. topic, '1\\nm\\n' .. ARGV[1] .. '\\n' .. cursor .. '\\n' .. known.last
        .. '\\n' .. at .. '\\n' .. ARGV[i + 6] .. '\\n' .. body)
      known.last, known.count, known.changed = cursor, known.count + 1, true
      if known.keepMs ~= keepMs or nowMs < known.looked or nowMs - known.looked > tonumber(keepMs) / 8 then
        expire(stream, nowMs - tonumber(keepMs))
        -- A topic that is silent goes as a whole; a little late, because this is not done with every message.
        redis.pcall('PEXPIRE', stream, text(tonumber(keepMs) * 1.25 + 60000))
        known.keepMs, known.looked = keepMs, nowMs
      end
      answers[#answers + 1] = '${STORED}' .. cursor
    end
  end
end

local changes = { 'last', text(last) }
for topic, known in pairs(topics) do
  if known.changed then
    changes[#changes + 1] = 't:' .. topic
    changes[#changes + 1] = known.last .. ' ' .. known.keepMs .. ' ' .. text(known.looked) .. ' ' .. text(known.count)
  end
end
redis.pcall('HSET', log, unpack(changes))
local answer = table.concat(answers, '\\n')
redis.pcall('SET', writer, batch .. '\\n' .. answer, 'PX', 3600000)
redis.pcall('PUBLISH', channel, '1\\nM\\n' .. ARGV[1] .. '\\n' .. batch .. '\\n' .. text(last) .. '\\n' .. held[3])
return answer
`)
