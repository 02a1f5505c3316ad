import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

// With burst = 0, which means as many as a second allows, clients were told that none were.
test('the burst that is announced is the one that is kept to', async () => {
  await using server = await startTestServer({ config: { limits: { messages_per_second: 7, burst: 0 } } })
  await using client = await server.connect({ user: 'alice' })
  expect(payloadOf(client.welcome)['limits']).toMatchObject({ messages_per_second: 7, burst: 7 })
})

// Always 1: after a millisecond the client was as near to being throttled as before.
test('a warning says after what pause there is room again', async () => {
  await using server = await startTestServer({ config: { limits: { messages_per_second: 1, burst: 10 } } })
  await using client = await server.connect({ user: 'alice' })
  for (let n = 0; n < 9; n++) client.send({ type: 'ack', payload: { correlation_id: 'none' } })
  const { retry_after_ms } = payloadOf(await client.next('rate_limited')) as { retry_after_ms: number }
  // One frame is left of the two that are a fifth: the second comes back a second later, at the rate.
  expect(retry_after_ms).toBeGreaterThan(1)
  expect(retry_after_ms).toBeLessThanOrEqual(1000)
})
