/** The rights that the scaling guide gives to a server in Redis. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { startTestServer } from '../../../src/testing/index.ts'
import { ROOT } from '../../cli/process.ts'
import { RedisServer } from '../../kit/redis.ts'
import { payloadOf } from '../../support/payload.ts'
import { until } from '../../support/until.ts'

const [, name = '', rules = ''] = /^user (\S+) (.+)$/m.exec(readFileSync(`${ROOT}docs/scaling.md`, 'utf8')) ?? []

test('a server with the rights of the guide asks for nothing that it may not', async () => {
  await using primary = await RedisServer.start()
  await using _replica = await RedisServer.start({ replicaOf: primary })
  await until(async () => (await primary.admin.info('replication')).includes('state=online'))
  await primary.admin.call('ACL', 'SETUSER', name, ...rules.split(' '))
  const config = {
    redis: { url: `redis://${name}:PASSWORD@127.0.0.1:${primary.port}`, min_replicas: 1 },
    rooms: [{ pattern: 'meeting:*', history: { max_messages: 10 } }],
  }
  await using one = await startTestServer({ config })
  await using other = await startTestServer({ config })
  const rooms = ['meeting:1', 'lobby']
  const alice = await one.connect({ user: 'alice', rooms })
  const bob = await other.connect({ user: 'bob', device: 'desk', transport: 'poll', rooms })
  for (const to of [{ room: 'meeting:1' }, { room: 'lobby' }, { user_id: 'bob' }]) {
    expect(await alice.request({ type: 'chat', to, payload: 'hello' })).toMatchObject({ type: 'ack' })
    expect(await bob.next('chat')).toMatchObject({ payload: 'hello' })
  }
  const patched = await bob.request({ type: 'set_room_state', payload: { room: 'lobby', patch: { open: true } } })
  expect(payloadOf(patched)).toEqual({ version: 1 })
  const joined = await alice.request({ type: 'join_room', payload: { room: 'meeting:1', history: 1 } })
  expect(payloadOf(joined)).toMatchObject({ participant_count: 2, replayed: 1 })
  const address = `${one.url}/realtime/ticket?token=${await one.token({ user: 'carol' })}`
  const { ticket } = (await (await fetch(address, { method: 'POST' })).json()) as { ticket: string }
  expect((await fetch(`${other.url}/realtime/poll?ticket=${ticket}`)).status).toBe(200)
  expect(await primary.admin.call('ACL', 'LOG')).toEqual([])
})
