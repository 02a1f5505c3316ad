import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { payloadOf } from '../support/payload.ts'

// A middleware that neither went on nor threw, or that kept an error to itself, left the client waiting: a frame with an id
// gets one answer, whatever the application does with it.
test('a frame that middleware keeps to itself is answered all the same, once', async () => {
  const app = tidings()
    .use(async (context, next) => {
      if (context.type === 'kept' || context.type === 'ping') return
      await next().catch(() => {})
    })
    .on('fails', () => {
      throw new Error('nobody hears of it')
    })
    .on('works', () => 'well')
  await using server = await startTestServer({ app })
  await using client = await server.connect({ user: 'alice', rooms: ['lobby'] })
  const refused = { code: 'RT_003', error_code: 'forbidden', message: 'The application refused it', reconnect: false }
  for (const frame of [
    { type: 'kept' },
    { type: 'ping' },
    { type: 'fails' },
    { type: 'kept', to: { room: 'lobby' } },
  ]) {
    expect((await client.request(frame)).payload).toEqual(refused)
  }
  client.send({ type: 'kept' })
  expect(payloadOf(await client.request({ type: 'works' }))).toEqual({ result: 'well' })
  expect((await client.request({ type: 'note', to: { room: 'lobby' } })).type).toBe('ack')
})
