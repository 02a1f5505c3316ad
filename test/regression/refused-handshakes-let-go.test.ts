import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { RawSocket, requestHead } from '../support/raw.ts'

// A full server answered 503 and kept the TCP connection of each refused client until the idle time-out: the descriptors
// that are left for probes and the store were gone within moments.
test('a refused handshake ends its TCP connection; a plain request that is refused does not', async () => {
  await using server = await startTestServer()
  using refused = await RawSocket.open(server.url)
  refused.write(requestHead('/realtime'))
  expect((await refused.answer()).status).toBe(403)
  expect(await refused.gone()).toBe('fin')
  using other = await RawSocket.open(server.url)
  const plain = requestHead('/realtime/me', { upgrade: undefined, connection: undefined })
  for (const _ of [1, 2]) {
    other.write(plain)
    expect((await other.answer()).status).toBe(403)
  }
})
