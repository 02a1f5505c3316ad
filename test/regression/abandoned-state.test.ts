import { expect, test } from 'bun:test'
import { createRoomRules } from '../../src/auth/rules.ts'
import { EmbeddedAttendances } from '../../src/backends/embedded/attendances.ts'
import { Interests } from '../../src/core/interests.ts'
import type { Attendances, RoomStates } from '../../src/core/ports/backend.ts'
import { Registry } from '../../src/core/registry.ts'
import { Rooms } from '../../src/core/rooms.ts'
import { TestHub } from '../support/hub.ts'

/** Joins, leaves and joins again, and what the store hears of it. */
async function heardOf(attendancesOf: (rooms: () => Rooms) => Attendances): Promise<boolean[]> {
  await using test = new TestHub()
  const occupied: boolean[] = []
  const states: RoomStates = {
    get: () => undefined,
    patch: () => ({ state: {}, version: 1 }),
    occupied: (_room, now) => occupied.push(now),
  }
  const rooms: Rooms = new Rooms({
    rules: createRoomRules([], ''),
    states,
    attendances: attendancesOf(() => rooms),
    interests: new Interests({ head: () => 0 }, test.hub.line),
    departed: () => {},
    maxRooms: 1,
    busyTopic: () => undefined,
  })
  const { session } = test.open('alice')
  const join = async () => rooms.subscribe(session, await rooms.enter(session, 'board'), 0)

  await join()
  await rooms.leave(session, 'board')
  await join()
  return occupied
}

// A room that was empty once, for a moment, lost its state a day later while people were in it: nobody had told the store
// that somebody was back.
test('the store hears when a room is left by the last and when somebody is there again', async () => {
  const attendances = (rooms: () => Rooms) =>
    new EmbeddedAttendances({
      registry: new Registry(),
      room: (name) => rooms().get(name),
      rooms: () => rooms().byName,
    })
  expect(await heardOf(attendances)).toEqual([true, false, true])
})

// Where others were in the room by another instance, this one neither kept its state nor ever forgot that it had to.
test('the store hears of who is here, whoever is there by other instances', async () => {
  const attendances: Attendances = {
    listen: () => {},
    enter: () => {},
    isTold: () => true,
    announce: () => {},
    leave: () => {},
    count: () => 2,
    has: () => true,
    participants: () => [],
  }
  expect(await heardOf(() => attendances)).toEqual([true, false, true])
})
