import { describe, expect, test } from 'bun:test'
import type { Passage } from '../../src/core/ports/backend.ts'
import { Presence } from '../../src/core/presence.ts'
import { Room } from '../../src/core/room.ts'
import type { Session } from '../../src/core/session.ts'
import type { ServerFrame } from '../../src/protocol/frames.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'
import { until } from '../support/until.ts'

const RULE = {
  presence: 'events',
  history: { maxMessages: 0, maxAgeMs: 0 },
  exclusive: false,
  slowConsumer: 'disconnect',
} as const

function place(maxMembers: number) {
  const clock = new FakeClock()
  const told: ServerFrame[] = []
  const excepted: (Session | undefined)[] = []
  const room = new Room('lobby', RULE)
  const presence = new Presence({
    clock,
    maxMembers,
    attendances: { listen: () => {} },
    room: (name) => (name === 'lobby' ? room : undefined),
    tell: (_room, frame, except) => {
      told.push(frame)
      excepted.push(except)
    },
  })
  room.topic.subscribe(makeSession(clock, { userId: 'watcher' }))
  /** Tells of somebody after whom so many are there. */
  const passed = (userId: string, participants: number, more: Partial<Passage>) =>
    presence.onPassage({ room: 'lobby', userId, username: undefined, participants, came: false, ...more })
  const joined = (userId: string, participants: number) => passed(userId, participants, { came: true })
  const left = (userId: string, participants: number, gathered = false) => passed(userId, participants, { gathered })
  return {
    clock,
    presence,
    room,
    told,
    excepted,
    joined,
    left,
    passed,
    payloads: () => told.map(({ payload }) => payload),
  }
}

describe('a summary', () => {
  test.concurrent('of a room of more than two thousand is the number alone', async () => {
    const { joined, told, payloads } = place(1)
    joined('a', 2001)
    await until(() => told.length > 0)
    joined('b', 2000)
    await until(() => told.length > 1)
    expect(payloads()).toEqual([
      { room_id: 'lobby', participant_count: 2001 },
      { room_id: 'lobby', participant_count: 2000, joined: [{ id: 'b', username: undefined }] },
    ])
  })

  test.concurrent('says nothing of who came and went, or went and came, in between', async () => {
    const { joined, left, told, payloads } = place(1)
    joined('guest', 11)
    left('guest', 10)
    left('flaky', 9)
    joined('flaky', 10)
    joined('stays', 11)
    await until(() => told.length > 0)
    expect(payloads()).toEqual([
      { room_id: 'lobby', participant_count: 11, joined: [{ id: 'stays', username: undefined }] },
    ])
  })

  test.concurrent('is how many that go at once are told of, however small the room is', async () => {
    const { left, told, payloads } = place(200)
    for (const [n, name] of ['a', 'b', 'c'].entries()) left(name, 3 - n, true)
    await until(() => told.length > 0)
    expect(payloads()).toEqual([
      {
        room_id: 'lobby',
        participant_count: 1,
        left: ['a', 'b', 'c'].map((id) => ({ id, username: undefined })),
      },
    ])
  })

  // His coming back was told at once, and his leaving afterwards: for the others he was gone.
  test.concurrent('has all that is said of somebody until it is told', async () => {
    const { joined, left, told, payloads } = place(200)
    left('drained', 2, true)
    left('gone', 1, true)
    joined('drained', 2)
    joined('other', 3)
    await until(() => told.length > 1)
    expect(payloads()).toMatchObject([
      { user: { id: 'other' }, participant_count: 3 },
      { participant_count: 3, left: [{ id: 'gone' }] },
    ])
    expect(payloads()[1]).not.toHaveProperty('joined')
  })

  // He had left a room that had become small with that, and came to it afterwards.
  test.concurrent('says nothing of a guest with whom the room was big', async () => {
    const { joined, left, told, payloads } = place(10)
    joined('guest', 11)
    left('guest', 10)
    await until(() => told.length > 0)
    expect(payloads()).toEqual([{ room_id: 'lobby', participant_count: 10 }])
  })

  // The list had a guest who was never said to have gone.
  test.concurrent('says who came and went in between where somebody has read who is there', async () => {
    const { presence, room, joined, left, told, payloads } = place(1)
    joined('guest', 11)
    await presence.follow(room, Promise.resolve(), () => {})
    left('guest', 10)
    await until(() => told.length > 0)
    joined('brief', 11)
    left('brief', 10)
    await until(() => told.length > 1)
    expect(payloads()).toEqual([
      { room_id: 'lobby', participant_count: 10, left: [{ id: 'guest', username: undefined }] },
      { room_id: 'lobby', participant_count: 10 },
    ])
  })

  test.concurrent('is told to nobody where nobody is left, and not after the end', async () => {
    const { presence, joined, told, passed } = place(1)
    joined('a', 2)
    presence.close()
    passed('a', 0, { room: 'empty' })
    joined('b', 3)
    await until(() => told.length > 0)
    expect(told).toHaveLength(1)
    expect(told[0]?.payload).toMatchObject({ joined: [{ id: 'b' }] })
  })
})

describe('a coming or going', () => {
  test('is told with the number that it makes, and why somebody went with whom nobody spoke', () => {
    const { room, told, joined, passed } = place(200)
    joined('alice', 2)
    passed('bob', 1, { nodeLost: true })
    expect(room.participants).toBe(1)
    expect(told.map(({ type, payload }) => [type, payload])).toMatchObject([
      ['user_joined_room', { user: { id: 'alice' }, participant_count: 2 }],
      ['user_left_room', { user: { id: 'bob' }, participant_count: 1, reason: 'node_lost' }],
    ])
    expect(told[0]?.payload).not.toHaveProperty('reason')
  })

  // One device had been let in when the other, elsewhere, was the one that was told of.
  test('is told to nobody of himself, by whichever of his devices he came or went', () => {
    const { clock, room, excepted, joined, passed } = place(200)
    const [entering, phone] = [makeSession(clock, { userId: 'alice' }), makeSession(clock, { userId: 'alice' })]
    for (const session of [entering, phone]) room.members.add('alice', session)
    room.topic.subscribe(phone)
    joined('alice', 2)
    passed('alice', 1, { nodeLost: true })
    joined('bob', 2)
    expect(excepted).toEqual([phone, phone, undefined])
  })
})
