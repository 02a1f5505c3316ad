import { expect, test } from 'bun:test'
import { createRoomRules } from '../../src/auth/rules.ts'
import { EmbeddedAttendances } from '../../src/backends/embedded/attendances.ts'
import { EmbeddedRoomStates } from '../../src/backends/embedded/room-states.ts'
import { Presence } from '../../src/core/presence.ts'
import { Registry } from '../../src/core/registry.ts'
import { Rooms } from '../../src/core/rooms.ts'
import { Session } from '../../src/core/session.ts'
import type { Wire } from '../../src/core/wire.ts'
import { encodingFor } from '../../src/protocol/encoding.ts'

const HOUR_MS = 60 * 60 * 1000

const wire: Wire = {
  transport: 'websocket',
  native: false,
  send() {},
  sendAll() {},
  subscribe() {},
  unsubscribe() {},
  publish: () => true,
  probe() {},
  bufferedBytes: () => 0,
  end() {},
}

// A room that was empty once, for a moment, lost its state a day later while people were in it.
test('the state of a room stays while somebody is there, however long ago the room was empty', () => {
  let time = 0
  const clock = { now: () => time, monotonic: () => time }
  const states = new EmbeddedRoomStates(clock, 1000)
  const rooms = new Rooms({
    rules: createRoomRules([], ''),
    states,
    attendances: new EmbeddedAttendances({ registry: new Registry(), room: (name) => rooms.get(name) }),
    presence: new Presence(clock, 0, () => {}),
    maxRooms: 1,
  })
  const join = () => {
    const session = sessionOf('alice')
    const entry = rooms.enter(session, 'board')
    if (!(entry instanceof Promise)) rooms.subscribe(session, entry)
    return session
  }

  const first = join()
  states.patch('board', { card: 1 }, undefined)
  rooms.leaveAll(first)
  const second = join()
  time = 25 * HOUR_MS
  states.sweep()
  expect(states.get('board')).toEqual({ state: { card: 1 }, version: 1 })

  rooms.leaveAll(second)
  time += 25 * HOUR_MS
  states.sweep()
  expect(states.get('board')).toBeUndefined()
})

function sessionOf(userId: string): Session {
  const identity = { userId, roles: [] }
  const init = { connectionId: userId, identity, deviceId: userId, encoding: encodingFor('json', 'payload') }
  return new Session(
    { ...init, ip: '127.0.0.1', addressKey: '127.0.0.1', userAgent: undefined, connectedAt: 0, since: 0 },
    wire,
  )
}
