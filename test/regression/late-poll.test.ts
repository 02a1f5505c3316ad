import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'

// It counted as its client coming back once more, and the connection that the client had gone on with was closed for good.
test('a poll that comes late does not end the connection that its client has gone on with', async () => {
  await using server = await startTestServer()
  const token = await server.token({ user: 'alice', device: 'phone' })
  const poll = async (more: Record<string, string>) => {
    const query = new URLSearchParams({ token, timeout: '0', rooms: 'lobby', ...more })
    return (await (await fetch(`${server.url}/realtime/poll?${query}`)).json()) as {
      connection_id: string
      cursor: string
    }
  }
  const { connection_id, cursor } = await poll({})
  const socket = await server.connect({ user: 'alice', device: 'phone', query: { resume: connection_id, cursor } })
  expect(payloadOf(socket.welcome)).toMatchObject({ resume: { session: true } })

  // The first is the farewell of the session that has ended; the second finds none.
  await poll({ connection_id, cursor })
  await poll({ connection_id, cursor })
  expect((await socket.request({ type: 'ping' })).type).toBe('pong')
  await socket.close()
})
