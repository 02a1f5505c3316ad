/**
 * A piece of Lua for scripts: `text(number)` writes a whole number from 0 to 2^53 in digits. For one as long as a cursor
 * `%.0f` took 1.3 microseconds and this 0.3, in a loop of nothing else. `%d` alone may hold no more than 32 bits.
 */
export const INTEGERS = `
local function text(number)
  if number < 1e9 then return string.format('%d', number) end
  return string.format('%d%09d', number / 1e9, number % 1e9)
end
`
