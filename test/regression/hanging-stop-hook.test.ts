import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'

// An onStop that never ended kept the process for ever: the deadline was only that of the clients.
test('an onStop that does not end is not waited for beyond the deadline', async () => {
  const errors: unknown[] = []
  const app = tidings()
    .onStop(() => new Promise(() => {}))
    .onError((error, { stage }) => errors.push([stage, String(error)]))
  const server = await startTestServer({ app, config: { drain: { deadline_ms: 100 } } })
  await server.stop()
  expect(errors).toEqual([['stop', 'Error: onStop has not finished within drain.deadline_ms']])
  await server.logged('server_stopped')
})
