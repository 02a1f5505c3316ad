import { expect, test } from 'bun:test'
import { tidings } from '../../src/index.ts'
import { startTestServer } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'

// The pong of a client that was still waiting for its welcome acknowledged what it was going to be read.
test('a heartbeat while the application still thinks about a connection acknowledges nothing', async () => {
  const thinking = Promise.withResolvers<void>()
  let slow = false
  const app = tidings().onConnect(async () => {
    if (slow) await thinking.promise
  })
  await using server = await startTestServer({ app, config: { heartbeat: { interval_ms: 20, timeout_ms: 5000 } } })
  const who = { user: 'alice', device: 'phone' }
  const before = await server.connect(who)
  await before.close()
  await server.app.publish({ user_id: 'alice' }, 'note', 'missed')

  slow = true
  const connecting = server.connect(who)
  await until(() => server.hub.registry.size === 1)
  const [session] = server.hub.registry.all()
  const since = session?.lastInbound ?? 0
  await until(() => (session?.lastInbound ?? 0) > since)
  thinking.resolve()

  const client = await connecting
  expect((await client.next('note')).payload).toBe('missed')
  await client.close()
})
