import { expect, test } from 'bun:test'
import { startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'

/** Danger: a client answers a question that another one was asked, and the application believes it. */
test('the id by which a question is answered cannot be guessed from those of messages', async () => {
  const app = tidings()
  await using server = await startTestServer({ app })
  await using victim = await server.connect({ user: 'victim' })
  await using mallory = await server.connect({ user: 'mallory' })
  const ids: string[] = []
  const seen = async () => {
    const { payload } = await mallory.request({ type: 'x', to: { user_id: 'mallory' } })
    ids.push((payload as { id: string }).id)
  }
  await seen()
  const asked = app.emitWithAck({ user_id: 'victim' }, 'transfer?', null, { timeoutMs: 10_000 })
  const { ack_id, id } = await victim.next('transfer?')
  await seen()
  // What a counter would have given between two messages that the forger sees.
  const [before = '', after = ''] = ids
  const prefix = [...before].findIndex((character, at) => character !== after[at])
  expect(prefix).toBeGreaterThan(4)
  expect(id?.startsWith(before.slice(0, prefix))).toBe(true)
  expect(ack_id?.startsWith(before.slice(0, prefix))).toBe(false)
  expect(ack_id).toMatch(/^[\w-]{22}$/)
  victim.send({ type: 'ack', payload: { correlation_id: ack_id, result: 'no' } })
  expect((await asked).answers.map(({ result }) => result)).toEqual(['no'])
})
