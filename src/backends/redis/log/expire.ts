/**
 * A piece of Lua for scripts: `expire(stream, before)` removes messages dated before a wall time, from the oldest on, and
 * returns the oldest that is left. What is removed has one end, though clocks that jumped may have dated messages oddly.
 * One call removes some thousand at most, so that Redis is not held up; what is left goes with the next.
 */
export const EXPIRE = `
local function expire(stream, before)
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not oldest or tonumber(oldest[2][6]) >= before then return oldest end
  for _ = 1, 64 do
    local page = redis.call('XRANGE', stream, '-', '+', 'COUNT', 32)
    oldest = nil
    for _, entry in ipairs(page) do
      if tonumber(entry[2][6]) >= before then oldest = entry break end
    end
    if #page == 0 or oldest == page[1] then return oldest end
    local past = tonumber(string.match(page[#page][1], '^%d+')) + 1
    redis.pcall('XTRIM', stream, 'MINID', oldest and oldest[1] or string.format('%.0f', past))
    if oldest then return oldest end
  end
  return redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
end
`
