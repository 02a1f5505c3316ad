/**
 * Whoever can publish to Redis can say anything in the name of an instance. What is no word of ours changes nothing and
 * brings nobody down; it is not what clients receive.
 */
import { expect, test } from 'bun:test'
import { formatEphemeral, formatQuestion } from '../../src/backends/redis/bus-envelope.ts'
import type { TestServer } from '../../src/testing/index.ts'
import { poll } from '../../src/testing/poll.ts'
import { startCluster } from '../contracts/cluster.ts'
import { names } from '../support/names.ts'
import { payloadOf } from '../support/payload.ts'

const PERSON = { id: 'mallory' }
const COMINGS = [
  '',
  'null',
  '[]',
  '{}',
  '{"person":{}}',
  '{"person":null,"participants":1}',
  JSON.stringify({ person: { id: 7 }, participants: 1, came: true }),
  ...[undefined, null, 'many', -1, 0.5, 1e300, {}].map((participants) =>
    JSON.stringify({ person: PERSON, participants, came: true }),
  ),
]
const MESSAGES = [
  '',
  '\n',
  '\nnull',
  '\n[]',
  '\n{"payload":1}',
  '\n{"type":7}',
  'null\n{"type":"forged"}',
  'no note\n{"type":"forged"}',
]
const QUESTIONS = [
  'errand',
  'errand_result',
  'errand_off',
  'take_over',
  'settle',
  'disconnect',
  'reap',
  'replace',
  'answers',
]

test('what a neighbour in Redis publishes and is none of ours reaches nobody', async () => {
  const { alice, bob, lobby } = names()
  await using cluster = await startCluster({ instances: 2, config: { redis: { prefix: lobby } } })
  const [one, two] = cluster.servers as [TestServer, TestServer]
  await using member = await one.connect({ user: alice, rooms: [lobby] })
  const url = new URL(`/realtime/poll?token=${await one.token({ user: bob })}`, one.url)
  const polling = await poll(url, undefined)
  if (polling instanceof Response) throw new Error('the poll was refused')
  const id = polling.connection_id
  const say = (channel: string, text: string) => cluster.redis.admin.publish(`${lobby}:1:${channel}`, text)
  for (const body of COMINGS) await say(`t:room:${lobby}`, formatEphemeral('mallory', { kind: 'presence', body }))
  for (const body of MESSAGES) await say(`t:room:${lobby}`, formatEphemeral('mallory', { kind: 'message', body }))
  const own = `n:${one.hub.peers.here}`
  const poll1 = { connection_id: id, hold_ms: -1, cursor: 1e300, unclaimed: 7 }
  const bodies = [
    null,
    [],
    {},
    { id: {}, kind: 7, body: [], connection_id: 7, connection_ids: [{}, null], answers: [null, {}], user_id: [] },
    { id: 'x', kind: 'poll', body: poll1 },
    { id: 'x', kind: 'poll', body: { ...poll1, cursor: -1 } },
    { id: 'x', kind: 'send', body: { connection_id: id, frame: [], bytes: Number.MAX_VALUE } },
    { id: 'x', kind: 'send', body: { connection_id: id, frame: { type: 'chat', to: { room: {} } }, bytes: -1 } },
    { id: 'x', kind: 'shed', body: { fraction: 'all' } },
  ]
  for (const kind of QUESTIONS) {
    for (const body of bodies) {
      await say(own, formatQuestion('mallory', 'q1', { kind, body: JSON.stringify(body) }))
    }
    await say(own, formatQuestion('mallory', 'q1', { kind, body: '{' }))
  }
  await two.app.publish({ room: lobby }, 'afterwards', 1)
  const received = [await member.next()]
  received.push(...(await member.received()))
  expect(received.map(({ type }) => type)).toEqual(['afterwards'])
  expect(payloadOf(await member.request({ type: 'who_am_i' }))['rooms']).toEqual([lobby])
  expect(one.hub.registry.get(id)?.closed).toBe(false)
})
