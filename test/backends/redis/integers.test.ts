import { expect, test } from 'bun:test'
import { INTEGERS } from '../../../src/backends/redis/log/integers.ts'
import { RedisServer } from '../../kit/redis.ts'

test('whole numbers up to 2^53 are written in digits, without a leading zero and without loss', async () => {
  await using redis = await RedisServer.start()
  const numbers = ['0', '7', '999999999', '1000000000', '1000000001', '1795863800000009', '7258118400999999']
  numbers.push(String(Number.MAX_SAFE_INTEGER))
  const script = `${INTEGERS}
local found = {}
for n, number in ipairs(ARGV) do found[n] = text(tonumber(number)) end
return found`
  expect(await redis.admin.eval(script, 0, ...numbers)).toEqual(numbers)
})
