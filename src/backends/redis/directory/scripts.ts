/**
 * The directory's scripts. What they touch, each under the prefix:
 *
 * `l:INSTANCE` the lease's name, which expires; `instances` the instances by the end of their leases; `o:INSTANCE` its
 * connections; `c:CONNECTION` a hash of whose it is, with a field `r:ROOM` for each room it is in; `u:USER` his
 * connections by age; `a:ADDRESS` its connections; `connections` all by age; `users` all that have one; `m:ROOM` the users
 * in it by when they came, as far as they can be reached there; `d:ROOM` how many connections each has there, those included
 * that have only just entered, `-` where nobody is told of him, and his name, and under no name how many of all have a place;
 * `rooms` all that have somebody; `swept` the instances that were taken for dead and are not known to be back, by when.
 *
 * ARGV begins with the prefix, the instance and its lease. A script of an instance whose lease is over does nothing and
 * answers `lost`: others may have taken its connections out, and it has to bring them in again before it acts.
 *
 * Who comes and goes is told here, on the channel of the room, in the step in which it is so: each room's comings and goings
 * have one order, whoever caused them, and every instance hears them in it.
 */
import { Script } from '../script.ts'
import { COUNT_HEAD, PASSAGE_HEAD } from './news.ts'
import { NO_PLACE } from './place.ts'

/** What a script answers whose lease is over. */
export const LOST = 'lost'
/** What a script answers for a connection that Redis does not know: it was evicted, or has ended. */
export const UNSEATED = 'unseated'

/** Comings and goings that are kept for instances that could not hear them: in an outage nobody comes or goes for long. */
const MAX_PASSAGES = 10_000
/** Milliseconds for which they are kept when no instance is alive. */
const PASSAGES_MS = 3_600_000
/** Milliseconds in which an instance that was taken for dead may come back: longer than any process stands still. */
const SWEPT_MS = 86_400_000

const HEAD = `
local prefix, instance, lease = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function key(kind, name) return prefix .. kind .. name end
local function text(number) return string.format('%.0f', number) end
local function held() return redis.call('GET', key('l:', instance)) == lease end

-- Tells an instance of what it hears when it has heard everything before.
local function mark(channel, token, participants, isTold, room)
  local last = redis.call('XREVRANGE', prefix .. 'passages', '+', '-', 'COUNT', 1)[1]
  local place = last and last[1] or '${NO_PLACE}'
  local lines = { place, token, participants, isTold, room }
  redis.pcall('PUBLISH', channel, '${COUNT_HEAD}' .. table.concat(lines, '\\n'))
end
`

const ROOMS = `
-- Who has no place stands in rooms and receives nothing there.
local function count(connection, room, by)
  if redis.call('HEXISTS', key('c:', connection), 'x') == 0 then redis.call('HINCRBY', key('d:', room), '', by) end
end

local function standing(room, user)
  local held, quiet, name = string.match(redis.call('HGET', key('d:', room), user) or '0 ', '^(%d+)(-?) (.*)$')
  return tonumber(held), quiet, name
end

local function stand(room, user, held, quiet, name)
  redis.call('HSET', key('d:', room), user, text(held) .. quiet .. ' ' .. name)
end

local function tell(room, user, name, passage)
  passage.user, passage.participants = user, redis.call('ZCARD', key('m:', room))
  if name ~= '' then passage.name = name end
  local json = cjson.encode(passage)
  local place = redis.pcall('XADD', prefix .. 'passages', 'MAXLEN', '~', ${MAX_PASSAGES}, '*', 'r', room, 'p', json)
  if type(place) ~= 'string' then place = '${NO_PLACE}' end
  redis.pcall('PUBLISH', key('t:room:', room), '${PASSAGE_HEAD}' .. place .. '\\n' .. json)
end

local function enter(connection, user, name, room)
  if redis.call('HSETNX', key('c:', connection), 'r:' .. room, name) == 0 then return end
  count(connection, room, 1)
  local held, quiet = standing(room, user)
  stand(room, user, held + 1, quiet, name)
  if held == 0 then redis.call('ZADD', prefix .. 'rooms', 0, room) end
end

-- The user can be reached in the room. Answers the name to tell of him, where nobody was told yet and somebody should be.
local function admit(connection, user, room, isQuiet)
  if redis.call('HEXISTS', key('c:', connection), 'r:' .. room) == 0 then return end
  if redis.call('ZADD', key('m:', room), 'NX', text(now), user) == 0 then return end
  local held, _, name = standing(room, user)
  if not isQuiet then return name end
  stand(room, user, held, '-', name)
end

local function leave(connection, user, room, how)
  if redis.call('HDEL', key('c:', connection), 'r:' .. room) == 0 then return end
  local held, quiet, name = standing(room, user)
  if held > 1 then
    count(connection, room, -1)
    stand(room, user, held - 1, quiet, name)
    return
  end
  local members, devices = key('m:', room), key('d:', room)
  local wasThere = redis.call('ZREM', members, user) == 1
  redis.call('HDEL', devices, user)
  if redis.call('HLEN', devices) <= redis.call('HEXISTS', devices, '') and redis.call('EXISTS', members) == 0 then
    redis.call('DEL', devices)
    redis.call('ZREM', prefix .. 'rooms', room)
  else
    count(connection, room, -1)
  end
  if wasThere and quiet == '' then tell(room, user, name, { gathered = how.gathered, lost = how.lost }) end
end
`

const SEATS = `
local function seat(connection, user, device, address, since)
  redis.call('HSET', key('c:', connection), 'i', instance, 'u', user, 'v', device, 'a', address, 's', since)
  redis.call('ZADD', key('u:', user), since, connection)
  redis.call('SADD', key('a:', address), connection)
  redis.call('ZADD', prefix .. 'connections', since, connection)
  redis.call('SADD', key('o:', instance), connection)
  redis.call('SADD', prefix .. 'users', user)
end

local function unseat(connection, owner)
  local seats = redis.call('HMGET', key('c:', connection), 'u', 'a')
  local user, address = seats[1], seats[2]
  redis.call('SREM', key('o:', owner), connection)
  redis.call('ZREM', prefix .. 'connections', connection)
  redis.call('DEL', key('c:', connection))
  if not user then return end
  redis.call('ZREM', key('u:', user), connection)
  redis.call('SREM', key('a:', address), connection)
  if redis.call('EXISTS', key('u:', user)) == 0 then redis.call('SREM', prefix .. 'users', user) end
end

-- Its place is somebody else's: what counts for limits and lists goes, where it stands and whose it is stays.
local function vacate(connection, why)
  local seats = redis.call('HMGET', key('c:', connection), 'u', 'a', 'x')
  if not seats[1] or seats[3] then return end
  redis.call('ZREM', key('u:', seats[1]), connection)
  redis.call('SREM', key('a:', seats[2]), connection)
  redis.call('ZREM', prefix .. 'connections', connection)
  for _, field in ipairs(redis.call('HKEYS', key('c:', connection))) do
    if string.sub(field, 1, 2) == 'r:' then redis.call('HINCRBY', key('d:', string.sub(field, 3)), '', -1) end
  end
  redis.call('HSET', key('c:', connection), 'x', why or 'replaced')
  if redis.call('EXISTS', key('u:', seats[1])) == 0 then redis.call('SREM', prefix .. 'users', seats[1]) end
end

local function leaveAll(connection, how)
  local fields = redis.call('HGETALL', key('c:', connection))
  local user
  for i = 1, #fields, 2 do if fields[i] == 'u' then user = fields[i + 1] end end
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'r:' then leave(connection, user, string.sub(fields[i], 3), how) end
  end
end

-- A place whose connection Redis has evicted would be taken for ever.
local function pruned(card, list, remove, name, limit)
  if redis.call(card, name) < limit then return false end
  for _, connection in ipairs(list(name)) do
    if redis.call('EXISTS', key('c:', connection)) == 0 then redis.call(remove, name, connection) end
  end
  return redis.call(card, name) >= limit
end

local function limitOf(user, address, perUser, perAddress, total)
  if total > 0 and redis.call('ZCARD', prefix .. 'connections') >= total then return 'total' end
  local function ofSet(name) return redis.call('SMEMBERS', name) end
  local function ofOrder(name) return redis.call('ZRANGE', name, 0, -1) end
  if perAddress > 0 and pruned('SCARD', ofSet, 'SREM', key('a:', address), perAddress) then return 'address' end
  if perUser > 0 and pruned('ZCARD', ofOrder, 'ZREM', key('u:', user), perUser) then return 'user' end
end
`

/**
 * ARGV: head; milliseconds of a lease; whether it may be taken anew; the caller's own channel, where it is told how far the
 * stream of passages has come. Answers how many connections are written down.
 */
export const LEASE = new Script(`${HEAD}
if not held() then
  if ARGV[5] ~= '1' then return '${LOST}' end
  redis.call('SET', key('l:', instance), lease, 'PX', ARGV[4])
else
  redis.call('PEXPIRE', key('l:', instance), ARGV[4])
end
redis.call('ZADD', prefix .. 'instances', text(now + tonumber(ARGV[4]) * 1000), instance)
redis.call('PEXPIRE', prefix .. 'passages', ${PASSAGES_MS})
mark(ARGV[6], '0', 0, 0, '')
return redis.call('SCARD', key('o:', instance))
`)

/**
 * ARGV: head; connection, user, device, address; limits per user, per address, in total; `close_oldest` or not; the
 * connection that it takes over, or nothing; its record as JSON, or nothing. Answers nothing, or the limit reached, or who
 * has lost his place and where he is.
 */
export const RESERVE = new Script(`${HEAD}${SEATS}
if not held() then return '${LOST}' end
local connection, user, device, address = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
-- Asked again because the first answer was lost.
if redis.call('HGET', key('c:', connection), 'i') == instance then return {} end
local former = redis.call('HMGET', key('c:', ARGV[12]), 'u', 'v')
if former[1] == user and former[2] == device then vacate(ARGV[12]) end
local full = limitOf(user, address, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
local evicted, place
if full == 'user' and ARGV[11] == 'close_oldest' then
  evicted = redis.call('ZRANGE', key('u:', user), 0, 0)[1]
  place = redis.call('HGET', key('c:', evicted), 'i')
  vacate(evicted)
  redis.call('ZREM', key('u:', user), evicted)
elseif full then
  return { full }
end
seat(connection, user, device, address, text(now))
if ARGV[13] ~= '' then redis.call('HSET', key('c:', connection), 'j', ARGV[13]) end
if place then return { 'evicted', evicted, place } end
return {}
`)

/** ARGV: head; connection, its record as JSON. Answers 1; why it has lost its place; `unseated` where Redis has. */
export const LIST = new Script(`${HEAD}
if not held() then return '${LOST}' end
local place = redis.call('HMGET', key('c:', ARGV[4]), 'i', 'x')
if not place[1] then return '${UNSEATED}' end
if place[1] ~= instance then return 'replaced' end
if place[2] then return place[2] end
redis.call('HSET', key('c:', ARGV[4]), 'j', ARGV[5])
return 1
`)

/**
 * Brings a connection in again after the lease was lost, with its rooms, where the limits still allow it.
 * ARGV: head; connection, user, device, address; limits per user, per address, in total; name; record; then for each room
 * its name, and what others know of the user there: `told`, nothing, or `-` where they never do.
 * Answers why it has lost its place, else 1. Others are told that a user has come back where they were told that he
 * had left: the instance was swept, and not where Redis has lost its data.
 */
export const RETURN = new Script(`${HEAD}${ROOMS}${SEATS}
if not held() then return '${LOST}' end
local connection, user, device, address = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local place = redis.call('HMGET', key('c:', connection), 'i', 'x')
if place[2] then return place[2] end
if place[1] ~= instance then
  if limitOf(user, address, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])) then return 'replaced' end
  seat(connection, user, device, address, text(now))
end
if ARGV[12] ~= '' then redis.call('HSET', key('c:', connection), 'j', ARGV[12]) end
local swept = redis.call('ZSCORE', prefix .. 'swept', instance)
for i = 13, #ARGV, 2 do
  local room, known = ARGV[i], ARGV[i + 1]
  enter(connection, user, ARGV[11], room)
  if known ~= '' then
    local name = admit(connection, user, room, known == '-')
    if name and swept then tell(room, user, name, { came = true }) end
  end
end
return 1
`)

/** ARGV: head; connections, each with 1 where many go at once. Takes them out, with their rooms. */
export const RELEASE = new Script(`${HEAD}${ROOMS}${SEATS}
if not held() then return '${LOST}' end
for i = 4, #ARGV, 2 do
  local owner = redis.call('HGET', key('c:', ARGV[i]), 'i')
  if owner == instance then leaveAll(ARGV[i], { gathered = ARGV[i + 1] == '1' or nil }) end
  if owner == instance or not owner then unseat(ARGV[i], instance) end
end
return 'done'
`)

/**
 * ARGV: head; connection; why, where its instance is to close it. Frees what counts for limits and lists, of any
 * instance's connection.
 */
export const VACATE = new Script(`${HEAD}${SEATS}
if not held() then return '${LOST}' end
vacate(ARGV[4], ARGV[5])
return 'done'
`)

/**
 * ARGV: head; connection, user, name, room; `-` where nobody is to be told; the caller's own channel, and a token that is
 * told there with how many users are in the room: when that has come, so has everything before it.
 * Answers them too, and 1 where others know of the user, or are never told.
 */
export const ENTER = new Script(`${HEAD}${ROOMS}
if not held() then return '${LOST}' end
local connection, user, name, room, quiet = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if redis.call('HGET', key('c:', connection), 'i') ~= instance then return '${UNSEATED}' end
enter(connection, user, name, room)
if quiet == '-' then admit(connection, user, room, true) end
local participants = redis.call('ZCARD', key('m:', room))
local isTold = redis.call('ZSCORE', key('m:', room), user) and 1 or 0
mark(ARGV[9], ARGV[10], participants, isTold, room)
return { participants, isTold }
`)

/** ARGV: head; connection, user, room. Others are told of the user where they do not know of him. */
export const ANNOUNCE = new Script(`${HEAD}${ROOMS}
if not held() then return '${LOST}' end
local connection, user, room = ARGV[4], ARGV[5], ARGV[6]
local name = admit(connection, user, room, false)
if name then tell(room, user, name, { came = true }) end
return 'done'
`)

/** ARGV: head; connection, user, room. */
export const LEAVE = new Script(`${HEAD}${ROOMS}
if not held() then return '${LOST}' end
leave(ARGV[4], ARGV[5], ARGV[6], {})
return 'done'
`)

/**
 * Takes connections of a dead instance out. ARGV: head; the dead instance, and how many connections. Two who do so at the
 * same time find different ones, so that each leave is told once.
 * Answers how many it still has, or -1 where it has none or is alive; then each connection, and what was written down of it.
 */
export const SWEEP = new Script(`${HEAD}${ROOMS}${SEATS}
if not held() then return '${LOST}' end
local dead = ARGV[4]
local until_ = tonumber(redis.call('ZSCORE', prefix .. 'instances', dead) or 0)
if until_ > now or redis.call('EXISTS', key('l:', dead)) == 1 then return { -1 } end
local connections = redis.call('SRANDMEMBER', key('o:', dead), ARGV[5])
if #connections == 0 then
  redis.call('ZREM', prefix .. 'instances', dead)
  return { -1 }
end
redis.call('ZADD', prefix .. 'swept', text(now), dead)
redis.call('ZREMRANGEBYSCORE', prefix .. 'swept', '-inf', text(now - ${SWEPT_MS * 1000}))
redis.call('PEXPIRE', prefix .. 'swept', ${SWEPT_MS})
local answer = { 0 }
for _, connection in ipairs(connections) do
  local why = redis.call('HGET', key('c:', connection), 'x')
  answer[#answer + 1] = connection
  answer[#answer + 1] = redis.call('HGETALL', key('c:', connection))
  leaveAll(connection, { lost = true })
  unseat(connection, dead)
  -- If the instance is back after all, it must not bring in again who has lost his place.
  if why then
    redis.call('HSET', key('c:', connection), 'x', why)
    redis.call('PEXPIRE', key('c:', connection), ${SWEPT_MS})
  end
end
answer[1] = redis.call('SCARD', key('o:', dead))
return answer
`)

/** ARGV: head. The instance is back, with all its connections. */
export const BACK = new Script(`${HEAD}
if not held() then return '${LOST}' end
redis.call('ZREM', prefix .. 'swept', instance)
return 'done'
`)

/** ARGV: head. The instance ends: it has no connection any more. */
export const DEPART = new Script(`${HEAD}
if not held() then return '${LOST}' end
redis.call('DEL', key('l:', instance))
if redis.call('EXISTS', key('o:', instance)) == 0 then redis.call('ZREM', prefix .. 'instances', instance) end
return 'done'
`)
