/** Sessions that are being read to from the log, and what may happen meanwhile. */
import { expect, test } from 'bun:test'
import { TestHub, until } from '../support/hub.ts'

const rooms = (max_messages: number) => ({ rooms: [{ pattern: 'kept*', history: { max_messages } }] })
/** Bytes in a socket that nobody reads: the next page waits. */
const FULL = 1 << 20

// Both readings went on, each moving the position of both: the first to end opened the gate, and the other never answered.
test('a resume while the session is still catching up takes the place of what it was reading', async () => {
  await using test = new TestHub(rooms(10_000))
  const sent: string[] = []
  for (let n = 0; n < 500; n++) sent.push(await test.direct('alice', n))
  const { session, wire } = test.open('alice', { cursor: Number(sent[249]) })
  await until(() => session.gate !== undefined)
  wire.buffered = FULL
  test.hub.receiver.receive(session, JSON.stringify({ type: 'resume', id: 'r', payload: { cursor: sent[9] } }))
  test.hub.receiver.receive(session, JSON.stringify({ type: 'ping', id: 'p' }))
  await until(() => session.gate?.position === Number(sent[9]))
  wire.buffered = 0

  await until(() => wire.frames.some(({ type }) => type === 'pong'))
  expect(wire.frames.find(({ type }) => type === 'resumed')?.payload).toMatchObject({ recovered: true, replayed: 490 })
  expect(wire.cursors.slice(-490)).toEqual(sent.slice(10))
  const sentinel = await test.direct('alice', 'live')
  expect(wire.cursors.at(-1)).toBe(sentinel)
})

// It had been told that nothing was missing, and by the time it was read to, something was.
test('what is removed from the log while a slow session is being read to is said to be missing', async () => {
  await using test = new TestHub(rooms(300))
  const cursor = Number(await test.chat('kept', 'before'))
  for (let n = 0; n < 250; n++) await test.chat('kept', n)
  const { session, wire } = test.open('alice', { rooms: ['kept'], cursor })
  await until(() => session.gate !== undefined)
  wire.buffered = FULL
  const later: string[] = []
  for (let n = 0; n < 400; n++) later.push(await test.chat('kept', n))
  wire.buffered = 0
  await until(() => session.gate === undefined)

  const [welcome, ...frames] = wire.frames
  expect(welcome?.payload).toMatchObject({ resume: { recovered: true } })
  const gaps = frames.filter(({ type }) => type === 'gap')
  expect(gaps.map(({ payload }) => payload)).toEqual([
    { rooms: ['kept'], from: String(cursor), cursor: String(cursor) },
  ])
  // The word comes before what comes after the hole.
  expect(frames.findIndex(({ type }) => type === 'gap')).toBe(0)
  expect(wire.cursors).toEqual(later.slice(-wire.cursors.length))
})

test('what a client was told to be missing from the beginning is not said twice', async () => {
  await using test = new TestHub(rooms(10))
  const cursor = Number(await test.chat('kept', 'before'))
  for (let n = 0; n < 50; n++) await test.chat('kept', n)
  const { session, wire } = test.open('alice', { rooms: ['kept'], cursor })
  await until(() => session.state === 'open' && session.gate === undefined)
  expect(wire.frames[0]?.payload).toMatchObject({ resume: { recovered: false, gaps: [{ room: 'kept' }] } })
  expect(wire.frames.filter(({ type }) => type === 'gap')).toEqual([])
})

// Each topic had an equal part of what may be replayed, so that of many rooms none could miss more than a few messages.
test('one busy room among many quiet ones may use all of what may be replayed', async () => {
  await using test = new TestHub({ ...rooms(1000), limits: { replay_messages: 100 } })
  const names = Array.from({ length: 20 }, (_, n) => `kept-${n}`)
  const cursor = Number(await test.chat('kept-0', 'before'))
  const missed: string[] = []
  for (let n = 0; n < 90; n++) missed.push(await test.chat('kept-0', n))
  const { session, wire } = test.open('alice', { rooms: names, cursor })
  await until(() => session.state === 'open' && session.gate === undefined)
  expect(wire.frames[0]?.payload).toMatchObject({ resume: { recovered: true, replayed: 90, gaps: [] } })
  expect(wire.cursors).toEqual(missed)
})

// The line has not delivered what is going round, though some have it already.
test('a client that comes back ahead of a broadcast that is still going round does not get its message again', async () => {
  await using test = new TestHub(rooms(1000))
  const crowd = Array.from({ length: 600 }, (_, n) => test.open(`u${n}`, { rooms: ['kept'] }))
  await until(() => crowd.every(({ session }) => session.state === 'open'))
  const published = test.chat('kept', 'to many')
  const first = crowd[0] as (typeof crowd)[number]
  await until(() => first.wire.cursors.length === 1)
  const cursor = Number(first.wire.cursors[0])
  expect(test.hub.line.delivered).toBeLessThan(cursor)
  const again = test.open('u0', { rooms: ['kept'], cursor }, { deviceId: 'again' })
  await published
  const sentinel = await test.chat('kept', 'sentinel')
  expect(again.wire.cursors).toEqual([sentinel])
})

// What was counted was committed and not delivered; the replay began before the client's position, and spoke of a gap.
test('a long line of messages that are not delivered yet is no gap, and nothing older comes again', async () => {
  await using test = new TestHub({ ...rooms(10_000), limits: { replay_messages: 100 } })
  const before: string[] = []
  for (let n = 0; n < 50; n++) before.push(await test.chat('kept', n))
  const crowd = Array.from({ length: 600 }, (_, n) => test.open(`u${n}`, { rooms: ['kept'] }))
  await until(() => crowd.every(({ session }) => session.state === 'open'))
  const waiting: Promise<string>[] = []
  for (let n = 0; n < 150; n++) waiting.push(test.chat('kept', n), test.direct('nobody', n))
  const last = Number(before.at(-1))
  await until(() => test.hub.backend.log.head() > last + 100 && test.hub.line.delivered < test.hub.backend.log.head())
  const back = test.open('alice', { rooms: ['kept'], cursor: Number(before[40]) })
  const live = await Promise.all(waiting)
  await until(() => back.session.state === 'open' && back.session.gate === undefined)

  expect(back.wire.frames[0]?.payload).toMatchObject({ resume: { recovered: true, gaps: [] } })
  const kept = live.filter((_, n) => n % 2 === 0)
  expect(back.wire.cursors).toEqual([...before.slice(41), ...kept])
})
