/** Rooms whose members come and go at awkward moments. */
import { expect, test } from 'bun:test'
import { TestHub, until } from '../support/hub.ts'

const KEPT = { rooms: [{ pattern: '*', history: { max_messages: 1000 } }] }

// The room was made anew for the newcomer, while its messages were still on their way to the members of the old one.
test('whoever enters a room that was left by all in the middle of a broadcast receives what is still on its way', async () => {
  await using test = new TestHub(KEPT)
  const crowd = Array.from({ length: 600 }, (_, n) => test.open(`u${n}`, { rooms: ['lobby'] }))
  await until(() => crowd.every(({ session }) => session.state === 'open'))
  // A device that is known is let in at once.
  const before = test.open('newcomer')
  await until(() => before.session.state === 'open')
  test.hub.close(before.session, 1000, '')
  const published = [test.chat('lobby', 1), test.chat('lobby', 2)]
  await until(() => crowd[0]?.wire.cursors.length !== 0)
  const delivered = test.hub.line.delivered
  for (const { session } of crowd) test.hub.close(session, 1001, '')
  const newcomer = test.open('newcomer', { rooms: ['lobby'] })
  await until(() => newcomer.session.state === 'open')

  const sent = await Promise.all(published)
  const [room] = (newcomer.wire.frames[0] as { payload: { rooms: { cursor: string }[] } }).payload.rooms
  const position = Number(room?.cursor)
  expect(position).toBe(delivered)
  expect(newcomer.wire.cursors).toEqual(sent.filter((cursor) => Number(cursor) > position))
})

// Nobody had been told that they came.
test('who is cut before it was subscribed to its rooms does not leave them for the others', async () => {
  await using test = new TestHub(KEPT)
  const watcher = test.open('watcher', { rooms: ['lobby'] })
  await until(() => watcher.session.state === 'open')
  const brief = test.open('brief', { rooms: ['lobby'] })
  test.hub.close(brief.session, 1006, '')
  const stays = test.open('stays', { rooms: ['lobby'] })
  await until(() => stays.session.state === 'open')
  const said = watcher.wire.frames.map(({ type, payload }) => [type, (payload as { user?: { id: string } }).user?.id])
  expect(said.slice(1)).toEqual([['user_joined_room', 'stays']])
  expect(await test.hub.backend.attendances.count('lobby')).toBe(2)
})

// The first was the one whose coming was to be told, and it never came.
test('a user is told to have come whichever of its devices comes first', async () => {
  await using test = new TestHub(KEPT)
  const watcher = test.open('watcher', { rooms: ['lobby'] })
  await until(() => watcher.session.state === 'open')
  const phone = test.open('alice', { rooms: ['lobby'] }, { deviceId: 'phone' })
  const laptop = test.open('alice', { rooms: ['lobby'] }, { deviceId: 'laptop' })
  test.hub.close(phone.session, 1006, '')
  await until(() => laptop.session.state === 'open')
  test.hub.close(laptop.session, 1000, '')
  const said = watcher.wire.frames.map(({ type }) => type)
  expect(said.slice(1)).toEqual(['user_joined_room', 'user_left_room'])
})
