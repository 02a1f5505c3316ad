import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { TestHub, until } from '../support/hub.ts'

const KEEPS = { rooms: [{ pattern: 'kept*', history: { max_messages: 10_000, max_age: '1h' as const } }] }

test('a session that opens at a cursor receives everything after it once and in order, whenever it comes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 600 }),
      fc.nat({ max: 40 }),
      fc.boolean(),
      fc.array(fc.constantFrom('kept-a', 'kept-b', 'user', 'pause'), { maxLength: 60 }),
      async (before, startAt, native, live) => {
        await using test = new TestHub(KEEPS)
        const sent: string[] = []
        for (let i = 0; i < before; i++) sent.push(await test.chat(i % 3 ? 'kept-a' : 'kept-b', i))
        const from = Math.min(startAt, before)
        const cursor = from === 0 ? 0 : Number(sent[from - 1])
        const { wire, session } = test.open('alice', { rooms: ['kept-a', 'kept-b'], cursor }, { native })
        const publishing: Promise<string>[] = []
        for (const step of live) {
          if (step === 'pause') await new Promise((resolve) => setImmediate(resolve))
          else publishing.push(step === 'user' ? test.direct('alice') : test.chat(step))
        }
        sent.push(...(await Promise.all(publishing)))
        await until(() => session.state === 'open' && session.gate === undefined)
        const sentinel = await test.chat('kept-a', 'sentinel')
        await until(() => wire.cursors.includes(sentinel))
        expect(wire.cursors).toEqual([...sent.slice(from), sentinel])
      },
    ),
    { numRuns: 40 },
  )
})

test('what is stored in a room that starts live while the inbox is read is not lost', async () => {
  await using test = new TestHub(KEEPS)
  for (let i = 0; i < 500; i++) await test.direct('alice', i)
  const { wire, session } = test.open('alice', { rooms: ['kept-a'] })
  await until(() => session.gate !== undefined)
  const live = [await test.chat('kept-a'), await test.chat('kept-a')]
  await until(() => session.gate === undefined)
  const sentinel = await test.chat('kept-a')
  await until(() => wire.cursors.includes(sentinel))
  expect(wire.cursors).toHaveLength(503)
  expect(wire.cursors.slice(-3)).toEqual([...live, sentinel])
  expect(wire.cursors).toEqual([...wire.cursors].sort())
})

test('a message to nobody waits for the user, and each device gets it once', async () => {
  await using test = new TestHub()
  const cursor = await test.direct('alice', 'while you were out')
  const first = test.open('alice', {}, { deviceId: 'phone' })
  await until(() => first.wire.cursors.length === 1)
  expect(first.wire.cursors).toEqual([cursor])
  test.hub.inbox.acknowledge(first.session, Number(cursor))
  test.hub.close(first.session, 1000, '')
  const second = test.open('alice', {}, { deviceId: 'phone' })
  const sentinel = await test.direct('alice', 'sentinel')
  await until(() => second.wire.cursors.length > 0)
  expect(second.wire.cursors).toEqual([sentinel])
})

test('an acknowledgement counts no further than what the connection was sent', async () => {
  await using test = new TestHub()
  const first = test.open('alice', {}, { deviceId: 'phone' })
  await until(() => first.session.state === 'open')
  test.hub.inbox.acknowledge(first.session, Number.MAX_SAFE_INTEGER)
  test.hub.close(first.session, 1000, '')
  const cursor = await test.direct('alice')
  const second = test.open('alice', {}, { deviceId: 'phone' })
  await until(() => second.wire.cursors.length === 1)
  expect(second.wire.cursors).toEqual([cursor])
})

test('messages that are stored nowhere wait for a session that catches up, the newest of them', async () => {
  await using test = new TestHub(KEEPS)
  for (let i = 0; i < 300; i++) await test.chat('kept-a', i)
  const { wire, session } = test.open('alice', { rooms: ['kept-a'], cursor: 1 })
  await until(() => session.gate !== undefined)
  for (let i = 0; i < 150; i++) {
    await test.hub.publish({ to: { kind: 'room', room: 'kept-a' }, type: 'typing', payload: i, ephemeral: true })
  }
  await until(() => session.gate === undefined)
  const typing = wire.frames.filter(({ type }) => type === 'typing').map(({ payload }) => payload)
  expect(typing).toEqual(Array.from({ length: 100 }, (_, at) => at + 50))
  expect(wire.frames.findIndex(({ type }) => type === 'typing')).toBe(
    wire.frames.findLastIndex(({ type }) => type === 'chat') + 1,
  )
})

test('a cursor that is older than what is kept is said to be a gap, and what there is follows', async () => {
  await using test = new TestHub({ rooms: [{ pattern: 'kept', history: { max_messages: 10, max_age: '1h' } }] })
  const first = await test.chat('kept')
  for (let i = 0; i < 50; i++) await test.chat('kept', i)
  const { wire } = test.open('alice', { rooms: ['kept'], cursor: Number(first) })
  await until(() => wire.cursors.length === 10)
  expect(wire.frames[0]?.payload).toMatchObject({
    resume: { recovered: false, replayed: 10, gaps: [{ room: 'kept', since: first }] },
  })
})

test('a cursor from the future is not recovered', async () => {
  await using test = new TestHub(KEEPS)
  await test.chat('kept-a')
  const { wire } = test.open('alice', { rooms: ['kept-a'], cursor: Number.MAX_SAFE_INTEGER })
  await until(() => wire.frames.length > 0)
  expect(wire.frames[0]?.payload).toMatchObject({ resume: { recovered: false, replayed: 0 } })
})

test('more than may be replayed is a gap, and the newest follow', async () => {
  await using test = new TestHub({ ...KEEPS, inbox: { max_messages: 0 }, limits: { replay_messages: 20 } })
  const first = await test.chat('kept')
  for (let i = 0; i < 50; i++) await test.chat('kept', i)
  const { wire } = test.open('alice', { rooms: ['kept'], cursor: Number(first) })
  await until(() => wire.cursors.length === 20)
  expect(wire.frames[0]?.payload).toMatchObject({ resume: { recovered: false, replayed: 20 } })
  expect(wire.frames.at(-1)?.payload).toBe(49)
})

test('a new device of a user for whom nothing waits is level at once, and can come back from there', async () => {
  await using test = new TestHub(KEEPS)
  await test.chat('kept-a')
  const { wire, session } = test.open('alice')
  await until(() => session.state === 'open')
  expect(session.gate).toBeUndefined()
  test.hub.close(session, 1006, '')
  const again = test.open('alice', { cursor: Number(wire.frames[0]?.cursor) })
  await until(() => again.session.state === 'open')
  expect(again.wire.frames[0]?.payload).toMatchObject({ resume: { recovered: true, replayed: 0, gaps: [] } })
})

test('a position named at the door acknowledges, unless the client does that explicitly', async () => {
  await using test = new TestHub()
  const first = await test.direct('alice', 'first')
  const second = await test.direct('alice', 'second')
  const openAt = async (deviceId: string, explicitAck: boolean) => {
    const { session } = test.open('alice', { cursor: Number(first) }, { deviceId, explicitAck })
    await until(() => session.state === 'open' && session.gate === undefined)
    test.hub.close(session, 1000, '')
    const again = test.open('alice', {}, { deviceId, explicitAck })
    await until(() => again.wire.cursors.includes(second))
    return again.wire.cursors
  }
  expect(await openAt('explicit', true)).toEqual([first, second])
  expect(await openAt('auto', false)).toEqual([second])
})
