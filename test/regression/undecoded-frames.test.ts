import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'

// A frame that was too deep, too wide or, above 4 KB, one too many was refused under an id of the server's: the client waited
// for the answer to its own until it gave up.
for (const format of ['json', 'msgpack'] as const) {
  test(`a frame that is refused undecoded is answered under its own id: ${format}`, async () => {
    const limits = { max_depth: 4, max_keys: 10, messages_per_second: 1, burst: 3 }
    await using server = await startTestServer({ config: { limits } })
    await using client = await server.connect({ user: 'alice', format })
    const keys = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, n]))
    const cases = [
      { payload: [[[[[1]]]]], says: { error_code: 'invalid_message', details: { max_depth: 4 } } },
      { payload: keys, says: { error_code: 'invalid_message', details: { max_keys: 10 } } },
      { payload: 1, says: { error_code: 'unknown_type' } },
      { payload: 'x'.repeat(10_000), says: { error_code: 'rate_limited' } },
    ]
    for (const { payload, says } of cases) {
      expect((await client.request({ type: 'nobody', payload })).payload).toMatchObject(says)
    }
  })
}
