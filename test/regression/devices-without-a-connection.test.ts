import { expect, test } from 'bun:test'
import { systemClock } from '../../src/core/clock.ts'
import { RateLimiter } from '../../src/core/rate-limit.ts'
import { Visitors } from '../../src/core/visitors.ts'

const limits = { messagesPerSecond: 0, burst: 0, bytesPerSecond: 0, maxMessageBytes: 0 }
const visit = (deviceId: string) => ({ identity: { userId: 'alice', roles: [] }, deviceId, ip: '', addressKey: '' })

// Who posts frames without a connection names the device: with another name in each request a user took memory without
// end, for as long as it went on.
test('a user has a bounded number of places, and those in use stay', () => {
  const visitors = new Visitors(systemClock, new RateLimiter(limits))
  const kept = visitors.of(visit('kept'))
  const first = visitors.of(visit('d0'))
  for (let n = 1; n < 1000; n++) {
    visitors.of(visit(`d${n}`))
    expect(visitors.of(visit('kept'))).toBe(kept)
  }
  expect(visitors.of(visit('d0'))).not.toBe(first)
  const { users } = visitors as unknown as { users: Map<string, { places: Map<string, unknown> }> }
  expect(users.get('alice')?.places.size).toBe(16)
})
