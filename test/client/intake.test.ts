import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { settle, welcomeFrame } from './fakes.ts'
import { setUp } from './set-up.ts'

const ALICE = { user_id: 'alice', device_id: 'laptop', username: 'Alice' }
const BOB = { user_id: 'bob', device_id: 'phone' }

function chat(cursor: string | undefined, more: object = {}): object {
  return { type: 'chat', id: `id-${cursor}`, ...(cursor !== undefined && { cursor }), payload: { n: cursor }, ...more }
}

describe('a message', () => {
  test('reaches its listeners as the server said it', async () => {
    const { runtime, client, open } = setUp()
    const heard: unknown[] = []
    client.on('chat', (payload, message) => heard.push([payload, message]))
    await open()
    runtime.socket.say({ ...chat('5'), room: 'lobby', sender: BOB, timestamp: 17.5 })
    expect(heard).toEqual([
      [
        { n: '5' },
        {
          type: 'chat',
          payload: { n: '5' },
          id: 'id-5',
          room: 'lobby',
          cursor: '5',
          sender: { userId: 'bob', deviceId: 'phone', username: undefined },
          timestamp: 17.5,
          history: false,
          own: false,
        },
      ],
    ])
  })

  test('of a room reaches those who listen to that room, and those who listen to all', async () => {
    const { runtime, client, open } = setUp()
    const heard: string[] = []
    client.on('chat', () => heard.push('all'))
    client.room('lobby').on('chat', () => heard.push('lobby'))
    client.room('other').on('*', () => heard.push('other'))
    await open()
    runtime.socket.say(chat('5', { room: 'lobby' }))
    expect(heard).toEqual(['all', 'lobby'])
  })

  test('about a room that it names in its payload reaches those who listen to that room', async () => {
    const { runtime, client, open } = setUp()
    const heard: unknown[] = []
    client.room('lobby').on('user_joined_room', ({ user }) => heard.push(user))
    await open()
    runtime.socket.say({
      type: 'user_joined_room',
      payload: { user: { id: 'bob' }, room_id: 'lobby', participant_count: 2 },
    })
    expect(heard).toEqual([{ id: 'bob' }])
  })

  test('of one’s own says so: it came from this very device', async () => {
    const { runtime, client, open } = setUp()
    const own: boolean[] = []
    client.on('chat', (_, message) => own.push(message.own))
    await open({ user_id: 'alice', device_id: 'laptop' })
    runtime.socket.say(chat('5', { sender: ALICE }), chat('6', { sender: { ...ALICE, device_id: 'phone' } }), chat('7'))
    expect(own).toEqual([true, false, false])
  })

  test('of welcome is heard on each connection, though the position is the same', async () => {
    const { runtime, client, open, reconnect } = setUp()
    let welcomes = 0
    client.on('welcome', () => welcomes++)
    await open({ cursor: '10' })
    await reconnect()
    runtime.socket.say({ ...welcomeFrame({ cursor: '10' }), cursor: '10' })
    await reconnect()
    runtime.socket.say({ ...welcomeFrame({ cursor: '10' }), cursor: '10' })
    expect(welcomes).toBe(3)
  })

  test('that cannot be read is reported, and the next one comes all the same', async () => {
    const { runtime, client, open, errors } = setUp()
    const heard: unknown[] = []
    client.on('chat', (payload) => heard.push(payload))
    await open()
    runtime.socket.onmessage?.({ data: '{' })
    runtime.socket.say(chat('5'))
    expect(heard).toEqual([{ n: '5' }])
    expect(errors).toMatchObject([{ reason: 'bad_frame' }])
  })
})

describe('no message comes twice', () => {
  test('whose cursor the position is past', async () => {
    const { runtime, client, open, reconnect } = setUp()
    const heard: unknown[] = []
    client.on('chat', (_, { cursor }) => heard.push(cursor))
    await open({ cursor: '1' })
    runtime.socket.say(chat('5'), chat('6'), chat('6'), chat('5'))
    await reconnect()
    runtime.socket.welcome({ cursor: '6' })
    runtime.socket.say(chat('6'), chat('7'))
    expect(heard).toEqual(['5', '6', '7'])
  })

  test('though the server starts from further back than we are', async () => {
    const { runtime, client, open, reconnect } = setUp()
    const heard: unknown[] = []
    client.on('chat', (_, { cursor }) => heard.push(cursor))
    await open({ cursor: '1' })
    runtime.socket.say(chat('5'), chat('6'))
    await reconnect()
    runtime.socket.welcome({ cursor: '4' })
    runtime.socket.say(chat('5'), chat('6'), chat('7'))
    expect(heard).toEqual(['5', '6', '7'])
  })

  test('that has an id and no cursor', async () => {
    const { runtime, client, open } = setUp()
    let heard = 0
    client.on('chat', () => heard++)
    await open()
    runtime.socket.say(chat(undefined, { id: 'm1' }), chat(undefined, { id: 'm1' }), chat(undefined, { id: 'm2' }))
    expect(heard).toBe(2)
  })

  test('that was published here and acknowledged, and comes back in a replay', async () => {
    const { runtime, client, open, reconnect } = setUp()
    const heard: unknown[] = []
    client.on('chat', (_, { id }) => heard.push(id))
    await open({ cursor: '1' })
    const published = client.publish({ room: 'lobby' }, 'chat', {})
    await settle()
    runtime.socket.ack('chat', { id: 'id-7', cursor: '7', online: 0 })
    expect(await published).toEqual({ id: 'id-7', cursor: '7', online: 0 })
    await reconnect()
    expect(runtime.socket.url.searchParams.get('cursor')).toBe('1')
    runtime.socket.welcome({ cursor: '1' })
    runtime.socket.say(chat('5'), chat('7', { sender: ALICE }), chat('8'))
    expect(heard).toEqual(['id-5', 'id-8'])
  })
})

describe('the position', () => {
  async function positionAfter(...frames: object[]): Promise<string | null> {
    const { runtime, open, reconnect } = setUp()
    await open({ cursor: '10' })
    runtime.socket.say(...frames)
    await reconnect()
    return runtime.socket.url.searchParams.get('cursor')
  }

  test('starts with the welcome', async () => {
    expect(await positionAfter()).toBe('10')
  })

  test.each([
    ['a message', chat('12')],
    ['a position', { type: 'position', cursor: '12' }],
    ['a pong', { type: 'pong', payload: { cursor: '12' } }],
    ['what was resumed', { type: 'resumed', payload: { recovered: true, cursor: '12' } }],
    ['a gap', { type: 'gap', payload: { from: '5', cursor: '12' } }],
  ])('moves with %s', async (_, frame) => {
    expect(await positionAfter(frame)).toBe('12')
  })

  test.each([
    ['history', chat('12', { history: true, room: 'lobby' })],
    ['a message without a cursor', chat(undefined)],
    ['what is older', chat('9')],
    ['the welcome of a position that is not ours', { type: 'ack', correlation_id: 'x', payload: { cursor: '12' } }],
  ])('does not move with %s', async (_, frame) => {
    expect(await positionAfter(frame)).toBe('10')
  })

  test('goes back with a gap, of which listeners hear', async () => {
    const { runtime, client, open } = setUp()
    const heard: unknown[] = []
    client.on('*', (_, { type, cursor }) => heard.push([type, cursor]))
    await open({ cursor: '10' })
    runtime.socket.say({ type: 'gap', cursor: '7', payload: { from: '5', cursor: '7' } }, chat('8'))
    expect(heard.slice(1)).toEqual([
      ['gap', '7'],
      ['chat', '8'],
    ])
  })

  test('does not move with the acknowledgement of a publish, and does with that of a join', async () => {
    const { runtime, client, open, reconnect } = setUp()
    await open({ cursor: '10' })
    void client.publish({ room: 'lobby' }, 'chat', {})
    void client.join('lobby')
    await settle()
    runtime.socket.ack('chat', { id: 'm', cursor: '20', online: 1 })
    runtime.socket.ack('join_room', { room: 'lobby', participant_count: 1, cursor: '15', recoverable: true })
    await reconnect()
    expect(runtime.socket.url.searchParams.get('cursor')).toBe('15')
  })

  test('of an earlier client is where this one begins', async () => {
    const { runtime, client } = setUp({ cursor: '77' })
    void client.connect()
    await settle()
    expect(runtime.socket.url.searchParams.get('cursor')).toBe('77')
    expect(client.cursor).toBe('77')
  })
})

describe('what was processed', () => {
  test('is acknowledged when the listeners are done, in one word for many', async () => {
    const { runtime, client, open } = setUp()
    const work = Promise.withResolvers<void>()
    client.on('slow', () => work.promise)
    client.on('chat', () => {})
    await open({ cursor: '1' })
    runtime.socket.say(chat('5'), chat('6'), chat('7', { type: 'slow' }), chat('8'))
    await runtime.clock.advance(250)
    expect(runtime.socket.sent).toEqual([{ type: 'ack', payload: { cursor: '6' } }])
    expect(client.cursor).toBe('6')
    work.resolve()
    await runtime.clock.advance(250)
    expect(runtime.socket.last('ack')).toEqual({ type: 'ack', payload: { cursor: '8' } })
    expect(client.cursor).toBe('8')
  })

  test('is acknowledged though a listener failed: saying it again would not help', async () => {
    const { runtime, client, open, errors } = setUp()
    client.on('chat', async () => {
      throw new Error('bug')
    })
    await open()
    runtime.socket.say(chat('5'))
    await runtime.clock.advance(250)
    expect(runtime.socket.last('ack')).toEqual({ type: 'ack', payload: { cursor: '5' } })
    expect(errors.map(String)).toEqual(['Error: bug'])
  })

  test('needs no acknowledgement in rooms: only the inbox is kept for a device', async () => {
    const { runtime, open } = setUp()
    await open()
    runtime.socket.say(chat('5', { room: 'lobby' }), chat(undefined))
    await runtime.clock.advance(1000)
    expect(runtime.socket.sent).toEqual([])
  })

  test('is acknowledged again on the next connection, and before closing', async () => {
    const { runtime, client, open, reconnect } = setUp()
    await open()
    runtime.socket.say(chat('5'))
    await runtime.clock.advance(250)
    await reconnect()
    runtime.socket.welcome({ cursor: '5' })
    await runtime.clock.advance(250)
    expect(runtime.socket.sent).toEqual([{ type: 'ack', payload: { cursor: '5' } }])
    runtime.socket.say(chat('6'))
    client.close()
    expect(runtime.socket.last('ack')).toEqual({ type: 'ack', payload: { cursor: '6' } })
  })
})

describe('an event that asks for an answer', () => {
  const question = { type: 'sure?', id: 'q', ack_id: 'a1', payload: {} }

  test('gets the first value that a listener returns, when it is there', async () => {
    const { runtime, client, open } = setUp()
    client.on('*', () => {})
    client.on('sure?', async () => 'yes')
    await open()
    runtime.socket.say(question)
    await settle()
    expect(runtime.socket.sent).toEqual([{ type: 'ack', payload: { correlation_id: 'a1', result: 'yes' } }])
  })

  test('gets an answer without a value where somebody listened', async () => {
    const { runtime, client, open } = setUp()
    client.on('sure?', () => {})
    await open()
    runtime.socket.say(question)
    expect(runtime.socket.sent).toEqual([{ type: 'ack', payload: { correlation_id: 'a1' } }])
  })

  test('gets none where nobody listened, or all failed', async () => {
    const { runtime, client, open } = setUp()
    await open()
    runtime.socket.say(question)
    client.on('sure?', () => {
      throw new Error('bug')
    })
    runtime.socket.say({ ...question, id: 'q2' })
    await settle()
    expect(runtime.socket.sent).toEqual([])
  })
})

test('whatever is repeated after whatever cut, listeners hear each message once and in order', async () => {
  const cut = fc.record({ after: fc.nat({ max: 5 }), back: fc.nat({ max: 6 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { maxLength: 6 }), async (cuts) => {
      const { runtime, client, open } = setUp()
      const heard: number[] = []
      client.on('chat', (_, { cursor }) => heard.push(Number(cursor)))
      await open({ cursor: '100' })
      let sent = 100
      for (const { after, back } of cuts) {
        for (let count = 0; count < after; count++) runtime.socket.say(chat(String(++sent)))
        runtime.socket.break()
        runtime.page.fire('online')
        await settle()
        // A server may always start from further back than it was asked for.
        const asked = Number(runtime.socket.url.searchParams.get('cursor'))
        const from = Math.max(100, asked - back)
        runtime.socket.welcome({ cursor: String(from) })
        for (let cursor = from + 1; cursor <= sent; cursor++) runtime.socket.say(chat(String(cursor)))
      }
      expect(heard).toEqual(Array.from({ length: sent - 100 }, (_, index) => 101 + index))
    }),
    { numRuns: 50 },
  )
})
