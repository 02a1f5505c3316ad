import { expect, test } from 'bun:test'
import { TestHub, until } from '../support/hub.ts'

const SMALL = { inbox: { max_messages: 3 } }

/** What a device without a cursor is told at its next connect; it goes away again. */
async function comesBack(test: TestHub, deviceId = 'phone') {
  const { wire, session } = test.open('alice', {}, { deviceId })
  await until(() => session.state === 'open' && session.gate === undefined)
  const { resume } = (wire.frames[0]?.payload ?? {}) as { resume: object }
  test.hub.close(session, 1000, '')
  return { resume, heard: wire.frames.flatMap(({ type, payload }) => (type === 'chat' ? [payload] : [])), session }
}

async function acknowledges(test: TestHub, cursor: string, deviceId = 'phone'): Promise<void> {
  const { session } = test.open('alice', {}, { deviceId })
  await until(() => session.state === 'open' && session.gate === undefined)
  test.hub.inbox.acknowledge(session, Number(cursor))
  test.hub.close(session, 1000, '')
}

test('a device is told that its inbox has dropped what it did not have yet', async () => {
  await using test = new TestHub(SMALL)
  const first = await test.direct('alice', 'first')
  await acknowledges(test, first)
  for (const n of [1, 2, 3, 4, 5]) await test.direct('alice', n)
  const { resume, heard } = await comesBack(test)
  expect(resume).toEqual({ session: false, recovered: false, replayed: 3, gaps: [{ inbox: true, since: first }] })
  expect(heard).toEqual([3, 4, 5])
  // As long as it has acknowledged nothing newer, it is told again.
  expect((await comesBack(test)).resume).toEqual(resume)
})

test('a device that has everything is told of no gap, though the inbox has dropped what it had', async () => {
  await using test = new TestHub(SMALL)
  let newest = ''
  for (const n of [1, 2, 3, 4, 5]) newest = await test.direct('alice', n)
  await acknowledges(test, newest)
  const { resume, heard } = await comesBack(test)
  expect(resume).toEqual({ session: false, recovered: false, replayed: 0, gaps: [] })
  expect(heard).toEqual([])
})

test("a user's first device begins with the oldest that is kept, and has missed nothing", async () => {
  await using test = new TestHub(SMALL)
  for (const n of [1, 2, 3, 4, 5]) await test.direct('alice', n)
  const nothingMissed = { session: false, recovered: false, replayed: 3, gaps: [] }
  expect(await comesBack(test)).toMatchObject({ resume: nothingMissed, heard: [3, 4, 5] })
  // It has acknowledged nothing, so it gets them again.
  expect(await comesBack(test)).toMatchObject({ resume: nothingMissed, heard: [3, 4, 5] })
})

test('a device for which nothing waits is level, whatever it has acknowledged', async () => {
  await using test = new TestHub(SMALL)
  await comesBack(test)
  const start = await test.hub.inbox.startOf((await comesBack(test)).session)
  await test.chat('anywhere')
  await test.direct('bob')
  const later = await test.hub.inbox.startOf((await comesBack(test)).session)
  expect(start.known && later.known).toBe(true)
  expect(later.cursor).toBeGreaterThan(start.cursor)
})
