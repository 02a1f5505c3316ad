import { describe, expect, test } from 'bun:test'
import { Presence } from '../../src/core/presence.ts'
import { Room } from '../../src/core/room.ts'
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
  const presence = new Presence(clock, maxMembers, (_room, frame) => void told.push(frame))
  const room = new Room('lobby', RULE)
  room.topic.subscribe(makeSession(clock, { userId: 'watcher' }))
  const user = (userId: string) => makeSession(clock, { userId })
  return { presence, room, told, user, payloads: () => told.map(({ payload }) => payload) }
}

describe('a summary', () => {
  test.concurrent('of a room of more than two thousand is the number alone', async () => {
    const { presence, room, told, user, payloads } = place(1)
    presence.joined(room, user('a'), 2001)
    await until(() => told.length > 0)
    presence.joined(room, user('b'), 2000)
    await until(() => told.length > 1)
    expect(payloads()).toEqual([
      { room_id: 'lobby', participant_count: 2001 },
      { room_id: 'lobby', participant_count: 2000, joined: [{ id: 'b', username: undefined }] },
    ])
  })

  test.concurrent('says nothing of who came and went, or went and came, in between', async () => {
    const { presence, room, told, user, payloads } = place(1)
    presence.joined(room, user('guest'), 11)
    presence.left(room, user('guest'), 10)
    presence.left(room, user('flaky'), 9)
    presence.joined(room, user('flaky'), 10)
    presence.joined(room, user('stays'), 11)
    await until(() => told.length > 0)
    expect(payloads()).toEqual([
      { room_id: 'lobby', participant_count: 11, joined: [{ id: 'stays', username: undefined }] },
    ])
  })

  test.concurrent('is how many that go at once are told of, however small the room is', async () => {
    const { presence, room, told, user, payloads } = place(200)
    for (const [n, name] of ['a', 'b', 'c'].entries()) presence.left(room, user(name), 3 - n, true)
    await until(() => told.length > 0)
    expect(payloads()).toEqual([
      {
        room_id: 'lobby',
        participant_count: 1,
        left: ['a', 'b', 'c'].map((id) => ({ id, username: undefined })),
      },
    ])
  })

  test.concurrent('is told to nobody where nobody is left, and not after the end', async () => {
    const { presence, room, told, user } = place(1)
    presence.joined(room, user('a'), 2)
    presence.close()
    const empty = new Room('empty', RULE)
    presence.left(empty, user('a'), 0)
    presence.joined(room, user('b'), 3)
    await until(() => told.length > 0)
    expect(told).toHaveLength(1)
    expect(told[0]?.payload).toMatchObject({ joined: [{ id: 'b' }] })
  })
})
